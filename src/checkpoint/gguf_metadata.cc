#include "checkpoint/gguf_metadata.h"

#include <bit>
#include <cstring>

#include "checkpoint/tensor_entry.h"

namespace millrace {
namespace {

// Values are little-endian in the file and packed.
static_assert(std::endian::native == std::endian::little);

struct TypeInfo {
  std::string_view name;
  std::size_t bytes;
};
constexpr TypeInfo kTypes[kGgufTypes] = {
    {"u8", 1},   {"i8", 1},     {"u16", 2},   {"i16", 2}, {"u32", 4}, {"i32", 4}, {"f32", 4},
    {"bool", 1}, {"string", 0}, {"array", 0}, {"u64", 8}, {"i64", 8}, {"f64", 8},
};

template <typename T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

bool is_integer(GgufType type) {
  return size_of(type) > 0 && type != GgufType::F32 && type != GgufType::F64 &&
         type != GgufType::Bool;
}

// Sign and magnitude hold every integer type's values.
struct Integer {
  bool negative;
  std::uint64_t bits;  // two's complement when negative
};

Integer load_integer(GgufType type, const std::byte* at) {
  const auto from_signed = [](std::int64_t value) {
    return Integer{value < 0, static_cast<std::uint64_t>(value)};
  };
  switch (type) {
    case GgufType::U8:
      return {false, load<std::uint8_t>(at)};
    case GgufType::U16:
      return {false, load<std::uint16_t>(at)};
    case GgufType::U32:
      return {false, load<std::uint32_t>(at)};
    case GgufType::U64:
      return {false, load<std::uint64_t>(at)};
    case GgufType::I8:
      return from_signed(load<std::int8_t>(at));
    case GgufType::I16:
      return from_signed(load<std::int16_t>(at));
    case GgufType::I32:
      return from_signed(load<std::int32_t>(at));
    default:
      return from_signed(load<std::int64_t>(at));
  }
}

std::optional<std::int64_t> in_range(Integer value, std::int64_t low, std::int64_t high) {
  if (!value.negative && value.bits > std::uint64_t{std::numeric_limits<std::int64_t>::max()})
    return std::nullopt;
  const auto number = static_cast<std::int64_t>(value.bits);
  return number < low || number > high ? std::nullopt : std::optional(number);
}

std::string to_text(Integer value) {
  return value.negative ? fmt::format("{}", static_cast<std::int64_t>(value.bits))
                        : fmt::format("{}", value.bits);
}

std::string range_text(std::int64_t low, std::int64_t high) {
  if (low == std::numeric_limits<std::int64_t>::min() &&
      high == std::numeric_limits<std::int64_t>::max())
    return "an integer below 2^63";
  return fmt::format("an integer from {} to {}", low, high);
}

double load_number(GgufType type, const std::byte* at) {
  if (type == GgufType::F32) return static_cast<double>(load<float>(at));
  if (type == GgufType::F64) return load<double>(at);
  const Integer value = load_integer(type, at);
  return value.negative ? static_cast<double>(static_cast<std::int64_t>(value.bits))
                        : static_cast<double>(value.bits);
}

bool is_number(GgufType type) {
  return is_integer(type) || type == GgufType::F32 || type == GgufType::F64;
}

}  // namespace

std::size_t size_of(GgufType type) {
  return kTypes[static_cast<std::uint32_t>(type)].bytes;
}

std::string_view to_string(GgufType type) {
  return kTypes[static_cast<std::uint32_t>(type)].name;
}

bool GgufMetadata::insert(std::string key, const GgufValue& value) {
  return values_.emplace(std::move(key), value).second;
}

const GgufValue* GgufMetadata::find(std::string_view key) const {
  const auto it = values_.find(key);
  return it == values_.end() ? nullptr : &it->second;
}

bool GgufMetadata::is_array(std::string_view key) const {
  const GgufValue* value = find(key);
  return value && value->type == GgufType::Array;
}

tl::unexpected<Error> GgufMetadata::mismatch(std::string_view key, const GgufValue& found,
                                             std::string_view expected) const {
  const std::string type =
      found.type == GgufType::Array
          ? fmt::format("an array of {} {}", found.count, to_string(found.element))
          : std::string(to_string(found.type));
  return fail(ErrorCode::Corrupt, "{}: {}: found {}, expected {}", origin_, printable(key), type,
              expected);
}

Result<std::optional<std::int64_t>> GgufMetadata::integer(std::string_view key, std::int64_t low,
                                                          std::int64_t high) const {
  const GgufValue* value = find(key);
  if (!value) return std::nullopt;
  if (!is_integer(value->type)) return mismatch(key, *value, "an integer");
  const Integer found = load_integer(value->type, value->bytes.data());
  const auto number = in_range(found, low, high);
  if (!number)
    return fail(ErrorCode::Corrupt, "{}: {}: found {}, expected {}", origin_, printable(key),
                to_text(found), range_text(low, high));
  return number;
}

Result<std::optional<double>> GgufMetadata::number(std::string_view key) const {
  const GgufValue* value = find(key);
  if (!value) return std::nullopt;
  if (!is_number(value->type)) return mismatch(key, *value, "a number");
  return load_number(value->type, value->bytes.data());
}

Result<std::optional<bool>> GgufMetadata::boolean(std::string_view key) const {
  const GgufValue* value = find(key);
  if (!value) return std::nullopt;
  if (value->type != GgufType::Bool) return mismatch(key, *value, "a bool");
  return load<std::uint8_t>(value->bytes.data()) != 0;
}

Result<std::optional<std::string>> GgufMetadata::string(std::string_view key) const {
  const GgufValue* value = find(key);
  if (!value) return std::nullopt;
  if (value->type != GgufType::String) return mismatch(key, *value, "a string");
  return std::string(reinterpret_cast<const char*>(value->bytes.data()), value->bytes.size());
}

Result<std::optional<std::vector<std::int64_t>>> GgufMetadata::integers(std::string_view key,
                                                                        std::int64_t low,
                                                                        std::int64_t high) const {
  const GgufValue* value = find(key);
  if (!value) return std::nullopt;
  if (value->type != GgufType::Array || !is_integer(value->element))
    return mismatch(key, *value, "an array of integers");
  std::vector<std::int64_t> list;
  list.reserve(value->count);
  const std::size_t size = size_of(value->element);
  for (std::uint64_t i = 0; i < value->count; ++i) {
    const Integer found = load_integer(value->element, value->bytes.data() + i * size);
    const auto number = in_range(found, low, high);
    if (!number)
      return fail(ErrorCode::Corrupt, "{}: {}[{}]: found {}, expected {}", origin_, printable(key),
                  i, to_text(found), range_text(low, high));
    list.push_back(*number);
  }
  return list;
}

Result<std::optional<std::vector<double>>> GgufMetadata::numbers(std::string_view key) const {
  const GgufValue* value = find(key);
  if (!value) return std::nullopt;
  if (value->type != GgufType::Array || !is_number(value->element))
    return mismatch(key, *value, "an array of numbers");
  std::vector<double> list;
  list.reserve(value->count);
  const std::size_t size = size_of(value->element);
  for (std::uint64_t i = 0; i < value->count; ++i)
    list.push_back(load_number(value->element, value->bytes.data() + i * size));
  return list;
}

Result<std::optional<std::vector<std::string>>> GgufMetadata::strings(std::string_view key) const {
  const GgufValue* value = find(key);
  if (!value) return std::nullopt;
  if (value->type != GgufType::Array || value->element != GgufType::String)
    return mismatch(key, *value, "an array of strings");
  std::vector<std::string> list;
  list.reserve(value->count);
  const std::byte* at = value->bytes.data();
  for (std::uint64_t i = 0; i < value->count; ++i) {
    const auto length = load<std::uint64_t>(at);
    at += sizeof(length);
    list.emplace_back(reinterpret_cast<const char*>(at), length);
    at += length;
  }
  return list;
}

}  // namespace millrace
