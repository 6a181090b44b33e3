// The names every template knows: range, dict, namespace, cycler, joiner, and what transformers
// adds, raise_exception and strftime_now.
#pragma once

#include "text/jinja/runtime.h"
#include "text/jinja/time_text.h"

namespace millrace::jinja {

void define_globals(Heap& heap, Scope& scope, LocalTime now);

}  // namespace millrace::jinja
