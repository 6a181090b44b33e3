// How the engine's inside reports a failure: an exception that JinjaTemplate turns into an Error
// with the line, so that nothing thrown here leaves the room. A tree-walking interpreter would
// otherwise test a Result after every operand.
#pragma once

#include <fmt/format.h>

#include <string>
#include <utility>

#include "base/error.h"

namespace millrace::jinja {

struct Failure {
  ErrorCode code;
  std::string message;
  int line = 0;  // of the template; 0 when the place is not known where it is thrown
};

// What the template or its input did wrong: a bad operand, an undefined value, raise_exception.
template <typename... Args>
[[noreturn]] void raise(fmt::format_string<Args...> format, Args&&... args) {
  throw Failure{ErrorCode::InvalidArgument, fmt::format(format, std::forward<Args>(args)...)};
}

// Over one of JinjaLimits.
template <typename... Args>
[[noreturn]] void raise_too_large(fmt::format_string<Args...> format, Args&&... args) {
  throw Failure{ErrorCode::TooLarge, fmt::format(format, std::forward<Args>(args)...)};
}

}  // namespace millrace::jinja
