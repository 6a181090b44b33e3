// Errors that a user, a file or the network can cause. They are values: a function that can fail
// so returns Result<T>, and the message names the file or field, what was found and what was
// expected. Failures of the environment (no memory, no device) are exceptions; broken invariants
// abort through check().
#pragma once

#include <fmt/core.h>

#include <string>
#include <tl/expected.hpp>
#include <type_traits>
#include <utility>

namespace millrace {

enum class ErrorCode {
  InvalidArgument,  // the caller asked for something that makes no sense
  NotFound,         // a file, model or name that is not there
  Corrupt,          // a file whose content contradicts itself or its format
  Unsupported,      // well-formed, but not something Millrace runs
  TooLarge,         // over a limit on size, steps or depth, or more than memory holds
  Unavailable,      // the network or a device did not answer
  Cancelled,        // the user stopped it
};

struct Error {
  ErrorCode code;
  std::string message;  // one line, no trailing full stop or newline
};

// "corrupt", "not found", ...: for logs and JSON.
std::string_view to_string(ErrorCode code);

// The process exit status for an error that reached main(): documented in `millrace --help`.
int exit_status(ErrorCode code);

template <typename T>
using Result = tl::expected<T, Error>;
using Status = Result<void>;

// return fail(ErrorCode::Corrupt, "{}: header of {} bytes in a file of {}", path, n, size);
template <typename... Args>
tl::unexpected<Error> fail(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  return tl::unexpected<Error>(Error{code, fmt::format(format, std::forward<Args>(args)...)});
}

// Puts "context: " before the message, keeping the code: for adding the file to a field's error.
inline tl::unexpected<Error> fail_in(std::string_view context, const Error& error) {
  return tl::unexpected<Error>(Error{error.code, fmt::format("{}: {}", context, error.message)});
}

// The value of a result that has one; nothing for a Status. For MILLRACE_TRY.
template <typename R>
auto take_value(R&& result) {
  if constexpr (!std::is_void_v<typename std::remove_cvref_t<R>::value_type>)
    return std::forward<R>(result).value();
}

}  // namespace millrace

// auto x = MILLRACE_TRY(may_fail());   the value, or return the error to the caller.
// MILLRACE_TRY(may_fail());            the same for a Status.
#define MILLRACE_TRY(expression) MILLRACE_TRY_AS_(expression, __COUNTER__)
// One name a use, so that a TRY may stand inside another's expression.
#define MILLRACE_TRY_AS_(expression, id) MILLRACE_TRY_NAMED_(expression, id)
#define MILLRACE_TRY_NAMED_(expression, id)                                              \
  __extension__({                                                                        \
    auto&& millrace_result_##id = (expression);                                          \
    if (!millrace_result_##id.has_value())                                               \
      return tl::unexpected<::millrace::Error>(std::move(millrace_result_##id).error()); \
    ::millrace::take_value(std::move(millrace_result_##id));                             \
  })
