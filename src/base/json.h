// Typed reads from untrusted JSON: each names the field, what was found and what was expected.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json_fwd.h"

namespace millrace {

// Parses text of at most max_depth nested levels (a hostile file must not exhaust the stack).
// `origin` names the file or body in messages.
Result<Json> parse_json(std::string_view text, std::string_view origin, int max_depth = 256);

// Reads a whole file of at most max_bytes and parses it.
Result<Json> read_json_file(const std::string& path, std::size_t max_bytes = 256u << 20);

// "object", "string", "integer", ... for messages.
std::string_view json_type_name(const Json& value);

// The member if it is there and not null.
const Json* json_find(const Json& object, std::string_view key);

// Absent or null gives nullopt; another type, or a value outside [low, high], is an error.
Result<std::optional<std::int64_t>> json_int(
    const Json& object, std::string_view key,
    std::int64_t low = std::numeric_limits<std::int64_t>::min(),
    std::int64_t high = std::numeric_limits<std::int64_t>::max());
Result<std::optional<double>> json_number(const Json& object, std::string_view key);
Result<std::optional<bool>> json_bool(const Json& object, std::string_view key);
Result<std::optional<std::string>> json_string(const Json& object, std::string_view key);

}  // namespace millrace
