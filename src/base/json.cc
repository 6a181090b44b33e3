#include "base/json.h"

#include "base/mapped_file.h"

namespace millrace {

Result<Json> parse_json(std::string_view text, std::string_view origin, int max_depth) {
  bool too_deep = false;
  const auto limit_depth = [&](int depth, Json::parse_event_t, Json&) {
    if (depth > max_depth) {
      too_deep = true;
      return false;
    }
    return true;
  };
  // The parser recurses for nothing (it keeps its own stack); the destructor and the readers do.
  std::string reason;
  try {
    Json value = Json::parse(text, limit_depth);
    if (too_deep)
      return fail(ErrorCode::TooLarge, "{}: JSON nested deeper than {} levels", origin, max_depth);
    return value;
  } catch (const Json::exception& e) {
    reason = e.what();
  }
  // "[json.exception.parse_error.101] parse error at line 1, column 2: ..." without the tag.
  if (const auto end = reason.find("] "); end != std::string::npos) reason.erase(0, end + 2);
  return fail(ErrorCode::Corrupt, "{}: not valid JSON: {}", origin, reason);
}

Result<Json> read_json_file(const std::string& path, std::size_t max_bytes) {
  const MappedFile file = MILLRACE_TRY(MappedFile::open(path));
  if (file.size() > max_bytes)
    return fail(ErrorCode::TooLarge, "{}: {} bytes of JSON, the limit is {}", path, file.size(),
                max_bytes);
  return parse_json(file.text(), path);
}

std::string_view json_type_name(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::object:
      return "object";
    case Json::value_t::array:
      return "array";
    case Json::value_t::string:
      return "string";
    case Json::value_t::boolean:
      return "boolean";
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return "integer";
    case Json::value_t::number_float:
      return "number";
    default:
      return "unknown";
  }
}

const Json* json_find(const Json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(std::string(key));
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

Result<std::optional<std::int64_t>> json_int(const Json& object, std::string_view key,
                                             std::int64_t low, std::int64_t high) {
  const Json* value = json_find(object, key);
  if (!value) return std::nullopt;
  if (!value->is_number_integer())
    return fail(ErrorCode::Corrupt, "{}: found {}, expected an integer", key,
                json_type_name(*value));
  const bool beyond_int64 =
      value->is_number_unsigned() &&
      value->get<std::uint64_t>() > std::uint64_t{std::numeric_limits<std::int64_t>::max()};
  const auto number = value->get<std::int64_t>();
  if (beyond_int64 || number < low || number > high)
    return fail(ErrorCode::Corrupt, "{}: found {}, expected an integer from {} to {}", key,
                value->dump(), low, high);
  return number;
}

Result<std::optional<double>> json_number(const Json& object, std::string_view key) {
  const Json* value = json_find(object, key);
  if (!value) return std::nullopt;
  if (!value->is_number())
    return fail(ErrorCode::Corrupt, "{}: found {}, expected a number", key, json_type_name(*value));
  return value->get<double>();
}

Result<std::optional<bool>> json_bool(const Json& object, std::string_view key) {
  const Json* value = json_find(object, key);
  if (!value) return std::nullopt;
  if (!value->is_boolean())
    return fail(ErrorCode::Corrupt, "{}: found {}, expected true or false", key,
                json_type_name(*value));
  return value->get<bool>();
}

Result<std::optional<std::string>> json_string(const Json& object, std::string_view key) {
  const Json* value = json_find(object, key);
  if (!value) return std::nullopt;
  if (!value->is_string())
    return fail(ErrorCode::Corrupt, "{}: found {}, expected a string", key, json_type_name(*value));
  return value->get<std::string>();
}

}  // namespace millrace
