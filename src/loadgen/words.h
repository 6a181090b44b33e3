// Text to ask about: common English words, drawn at random.
#pragma once

#include <string>

#include "loadgen/random.h"

namespace millrace::loadgen {

// So many words, separated by blanks.
std::string random_words(Random& random, std::int64_t count);

}  // namespace millrace::loadgen
