// Which bytes of a file are there.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace millrace::hub {

// [begin, end) of a file's bytes.
struct ByteRange {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;

  std::uint64_t size() const { return end - begin; }
  bool operator==(const ByteRange&) const = default;
};

// Sorted ranges that neither overlap nor touch.
class ByteRanges {
 public:
  // begin <= end; what is already there may be added again.
  void add(ByteRange range);
  std::uint64_t total() const;  // bytes
  const std::vector<ByteRange>& ranges() const { return ranges_; }

  // What is missing of [0, size), in order, in pieces of at most `longest` bytes.
  std::vector<ByteRange> gaps(std::uint64_t size, std::uint64_t longest) const;

  // One line of JSON, and back. nullopt when the text is not such a line, speaks of another size,
  // or holds a range outside the file.
  std::string to_text(std::uint64_t size) const;
  static std::optional<ByteRanges> from_text(std::string_view text, std::uint64_t size);

 private:
  std::vector<ByteRange> ranges_;
};

}  // namespace millrace::hub
