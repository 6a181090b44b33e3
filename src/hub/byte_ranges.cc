#include "hub/byte_ranges.h"

#include <algorithm>

#include "base/check.h"
#include "base/json.h"

namespace millrace::hub {
namespace {

constexpr int kFormat = 1;
// More than any download leaves: a connection leaves one hole.
constexpr std::size_t kMostRanges = 65'536;

}  // namespace

void ByteRanges::add(ByteRange range) {
  check(range.begin <= range.end, "a byte range ends before it begins");
  if (range.begin == range.end) return;
  // [first, last) are the ranges that overlap or touch the new one.
  const auto first =
      std::lower_bound(ranges_.begin(), ranges_.end(), range.begin,
                       [](const ByteRange& r, std::uint64_t begin) { return r.end < begin; });
  auto last = first;
  while (last != ranges_.end() && last->begin <= range.end) {
    range.begin = std::min(range.begin, last->begin);
    range.end = std::max(range.end, last->end);
    ++last;
  }
  ranges_.insert(ranges_.erase(first, last), range);
}

std::uint64_t ByteRanges::total() const {
  std::uint64_t bytes = 0;
  for (const ByteRange& range : ranges_) bytes += range.size();
  return bytes;
}

std::vector<ByteRange> ByteRanges::gaps(std::uint64_t size, std::uint64_t longest) const {
  check(longest > 0, "pieces of no bytes");
  std::vector<ByteRange> out;
  const auto cut = [&](std::uint64_t begin, std::uint64_t end) {
    while (begin < end) {
      const std::uint64_t piece = std::min(longest, end - begin);
      out.push_back({begin, begin + piece});
      begin += piece;
    }
  };
  std::uint64_t at = 0;
  for (const ByteRange& range : ranges_) {
    cut(at, std::min(range.begin, size));
    at = range.end;
  }
  cut(at, size);
  return out;
}

std::string ByteRanges::to_text(std::uint64_t size) const {
  Json done = Json::array();
  for (const ByteRange& range : ranges_) done.push_back({range.begin, range.end});
  return Json{{"format", kFormat}, {"size", size}, {"done", std::move(done)}}.dump() + "\n";
}

std::optional<ByteRanges> ByteRanges::from_text(std::string_view text, std::uint64_t size) {
  const auto json = parse_json(text, "ranges", 4);
  if (!json || !json->is_object()) return std::nullopt;
  const auto is = [&](const char* key, std::uint64_t value) {
    const Json* found = json_find(*json, key);
    return found != nullptr && found->is_number_unsigned() && found->get<std::uint64_t>() == value;
  };
  const Json* done = json_find(*json, "done");
  if (!is("format", kFormat) || !is("size", size) || done == nullptr || !done->is_array() ||
      done->size() > kMostRanges)
    return std::nullopt;
  ByteRanges out;
  for (const Json& pair : *done) {
    if (!pair.is_array() || pair.size() != 2 || !pair[0].is_number_unsigned() ||
        !pair[1].is_number_unsigned())
      return std::nullopt;
    const ByteRange range{pair[0].get<std::uint64_t>(), pair[1].get<std::uint64_t>()};
    const std::uint64_t at = out.ranges_.empty() ? 0 : out.ranges_.back().end;
    if (range.begin < at || range.begin >= range.end || range.end > size) return std::nullopt;
    out.add(range);
  }
  return out;
}

}  // namespace millrace::hub
