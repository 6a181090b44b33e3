// JSON on one line, whatever bytes its texts hold.
#pragma once

#include <string>

#include "base/json.h"

namespace millrace::loadgen {

inline std::string one_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace millrace::loadgen
