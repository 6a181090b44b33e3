#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace millrace {

void check_failed(std::string_view what, const SourceLocation& where) {
  std::fprintf(stderr, "millrace: broken invariant: %.*s (%s:%u in %s)\n",
               static_cast<int>(what.size()), what.data(), where.file, where.line, where.function);
  std::abort();
}

}  // namespace millrace
