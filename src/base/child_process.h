// Other programs, run to their end.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace millrace {

struct ChildOutput {
  int status = 0;     // of its exit; 128 + the signal that ended it
  std::string out;    // what it wrote
  std::string error;  // and where errors go
};

// Runs arguments[0] (looked up in PATH unless it holds a slash) with an empty standard input and
// waits for it. NotFound if there is no such program; TooLarge if it writes more than 64 MiB.
Result<ChildOutput> run_child(const std::vector<std::string>& arguments);

}  // namespace millrace
