// Broken invariants: a bug in Millrace, never a user's doing. Prints where and aborts.
#pragma once

#include <string_view>

namespace millrace {

// std::source_location, which clang before 16 lacks.
struct SourceLocation {
  const char* file;
  const char* function;
  unsigned line;

  static SourceLocation current(const char* file = __builtin_FILE(),
                                const char* function = __builtin_FUNCTION(),
                                unsigned line = __builtin_LINE()) {
    return {file, function, line};
  }
};

[[noreturn]] void check_failed(std::string_view what,
                               const SourceLocation& where = SourceLocation::current());

inline void check(bool holds, std::string_view what,
                  const SourceLocation& where = SourceLocation::current()) {
  if (!holds) [[unlikely]]
    check_failed(what, where);
}

}  // namespace millrace
