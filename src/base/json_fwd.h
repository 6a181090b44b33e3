// For headers that only name Json: the library's own takes seconds to read in every source.
#pragma once

#include <nlohmann/json_fwd.hpp>

namespace millrace {

// Key order is kept: chat templates print objects in the order they were written.
using Json = nlohmann::ordered_json;

}  // namespace millrace
