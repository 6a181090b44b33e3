// Broken invariants: a bug in Millrace, never a user's doing. Prints where and aborts.
#pragma once

#include <source_location>
#include <string_view>

namespace millrace {

[[noreturn]] void check_failed(std::string_view what, const std::source_location& where);

inline void check(bool holds, std::string_view what,
                  const std::source_location& where = std::source_location::current()) {
  if (!holds) [[unlikely]]
    check_failed(what, where);
}

}  // namespace millrace
