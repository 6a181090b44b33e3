#include "checkpoint/gguf.h"

#include <optional>

#include "base/mapped_file.h"
#include "checkpoint/gguf_header.h"

namespace millrace {
namespace {

constexpr std::int64_t kMaxParts = 10'000;

// "dir/name-00002-of-00003.gguf": everything before "-00002", and the numbers.
struct PartName {
  std::string stem;
  std::int64_t number = 0;
  std::int64_t count = 0;
};

std::string part_path(const std::string& stem, std::int64_t number, std::int64_t count) {
  return fmt::format("{}-{:05}-of-{:05}.gguf", stem, number, count);
}

std::optional<PartName> split_part_name(const std::string& path) {
  constexpr std::string_view kPattern = "-ddddd-of-ddddd.gguf";
  if (path.size() <= kPattern.size()) return std::nullopt;
  const std::string_view tail = std::string_view(path).substr(path.size() - kPattern.size());
  std::int64_t numbers[2] = {};
  for (std::size_t i = 0; i < kPattern.size(); ++i) {
    if (kPattern[i] != 'd' && kPattern[i] != tail[i]) return std::nullopt;
    if (kPattern[i] != 'd') continue;
    if (tail[i] < '0' || tail[i] > '9') return std::nullopt;
    std::int64_t& number = numbers[i < 6 ? 0 : 1];
    number = number * 10 + (tail[i] - '0');
  }
  return PartName{path.substr(0, path.size() - kPattern.size()), numbers[0], numbers[1]};
}

struct Part {
  MappedFile file;
  GgufHeader header;
};

Result<Part> open_part(const std::string& path) {
  MappedFile file = MILLRACE_TRY(MappedFile::open(path));
  GgufHeader header = MILLRACE_TRY(parse_gguf(file.bytes(), path));
  return Part{std::move(file), std::move(header)};
}

Result<GgufModel> open_split(const std::string& path, std::int64_t count) {
  const auto name = split_part_name(path);
  if (!name || name->count != count)
    return fail(ErrorCode::Corrupt,
                "{}: split.count: found {}, expected a file name that ends in -00001-of-{:05}.gguf",
                path, count, count);
  CheckpointBuilder builder(path);
  GgufMetadata metadata;
  std::int64_t tensors = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::string at = part_path(name->stem, i + 1, count);
    Part part = MILLRACE_TRY(open_part(at));
    const GgufMetadata& keys = part.header.metadata;
    const auto part_count = MILLRACE_TRY(keys.integer("split.count"));
    const auto part_number = MILLRACE_TRY(keys.integer("split.no"));
    if (part_count != count || part_number != i)
      return fail(ErrorCode::Corrupt, "{}: found split.no {} of split.count {}, expected {} of {}",
                  at, part_number.value_or(-1), part_count.value_or(-1), i, count);
    tensors += static_cast<std::int64_t>(part.header.tensors.size());
    if (i == 0) metadata = std::move(part.header.metadata);
    builder.add(std::move(part.file), std::move(part.header.tensors));
  }
  const auto expected = MILLRACE_TRY(metadata.integer("split.tensors.count"));
  if (expected && *expected != tensors)
    return fail(ErrorCode::Corrupt, "{}: split.tensors.count: found {}, the parts hold {} tensors",
                path, *expected, tensors);
  return GgufModel{MILLRACE_TRY(std::move(builder).finish()), std::move(metadata)};
}

}  // namespace

Result<GgufModel> open_gguf(const std::string& path) {
  Part part = MILLRACE_TRY(open_part(path));
  const std::int64_t count =
      MILLRACE_TRY(part.header.metadata.integer("split.count", 0, kMaxParts)).value_or(0);
  if (count > 1) return open_split(path, count);
  CheckpointBuilder builder(path);
  builder.add(std::move(part.file), std::move(part.header.tensors));
  return GgufModel{MILLRACE_TRY(std::move(builder).finish()), std::move(part.header.metadata)};
}

}  // namespace millrace
