// Wall clock time for templates, as Python's naive datetime has it.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "text/jinja/heap.h"

namespace millrace {

// A date and time of day without a time zone.
using LocalTime = std::chrono::local_time<std::chrono::microseconds>;

// Now, where this process runs.
LocalTime local_now();

namespace jinja {

// datetime.strftime. Raises for a field width over 100.
Value time_text(Heap& heap, LocalTime time, std::string_view format);

}  // namespace jinja
}  // namespace millrace
