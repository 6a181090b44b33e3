// The key-value part of a GGUF file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace millrace {

enum class GgufType : std::uint32_t {
  U8 = 0,
  I8 = 1,
  U16 = 2,
  I16 = 3,
  U32 = 4,
  I32 = 5,
  F32 = 6,
  Bool = 7,
  String = 8,
  Array = 9,
  U64 = 10,
  I64 = 11,
  F64 = 12,
};
constexpr std::uint32_t kGgufTypes = 13;

// Bytes of a scalar; 0 for strings and arrays.
std::size_t size_of(GgufType type);
std::string_view to_string(GgufType type);  // "u32", "string", ...

// A value as it lies in the file, bounds already checked.
struct GgufValue {
  GgufType type = GgufType::U8;
  GgufType element = GgufType::U8;   // of an array
  std::uint64_t count = 0;           // of an array
  std::span<const std::byte> bytes;  // a scalar, a string's text, or an array's elements
};

// Typed reads. A key that is not there gives nullopt; another type, or a number out of range, is an
// error that names file, key, found and expected. Integers are accepted from any integer type that
// holds a fitting value. Borrows the file's bytes: valid while its owner lives.
class GgufMetadata {
 public:
  GgufMetadata() = default;
  explicit GgufMetadata(std::string origin) : origin_(std::move(origin)) {}

  // False when the key is already there.
  bool insert(std::string key, const GgufValue& value);

  const std::string& origin() const { return origin_; }
  const std::map<std::string, GgufValue, std::less<>>& values() const { return values_; }
  const GgufValue* find(std::string_view key) const;
  bool is_array(std::string_view key) const;

  Result<std::optional<std::int64_t>> integer(
      std::string_view key, std::int64_t low = std::numeric_limits<std::int64_t>::min(),
      std::int64_t high = std::numeric_limits<std::int64_t>::max()) const;
  // Floats and integers.
  Result<std::optional<double>> number(std::string_view key) const;
  Result<std::optional<bool>> boolean(std::string_view key) const;
  Result<std::optional<std::string>> string(std::string_view key) const;
  Result<std::optional<std::vector<std::int64_t>>> integers(
      std::string_view key, std::int64_t low = std::numeric_limits<std::int64_t>::min(),
      std::int64_t high = std::numeric_limits<std::int64_t>::max()) const;
  Result<std::optional<std::vector<double>>> numbers(std::string_view key) const;
  Result<std::optional<std::vector<std::string>>> strings(std::string_view key) const;

 private:
  tl::unexpected<Error> mismatch(std::string_view key, const GgufValue& found,
                                 std::string_view expected) const;

  std::string origin_;
  std::map<std::string, GgufValue, std::less<>> values_;
};

}  // namespace millrace
