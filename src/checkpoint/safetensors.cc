#include "checkpoint/safetensors.h"

#include <filesystem>

#include "checkpoint/json_events.h"
#include "checkpoint/safetensors_header.h"

namespace millrace {
namespace {

constexpr std::size_t kMaxIndexBytes = 100'000'000;
constexpr std::size_t kMaxShards = 10'000;

// {"metadata": anything, "weight_map": {tensor: shard}}
class IndexReader final : public JsonEventReader {
 public:
  std::map<std::string, std::string> shard_of;  // by tensor

 private:
  Status on_event(JsonEvent event, std::string_view text, std::uint64_t) override {
    const bool opens = event == JsonEvent::ObjectStart || event == JsonEvent::ArrayStart;
    const bool closes = event == JsonEvent::ObjectEnd || event == JsonEvent::ArrayEnd;
    if (depth_ == 0 && event != JsonEvent::ObjectStart)
      return fail(ErrorCode::Corrupt, "found {}, expected an object", describe(event, text));
    if (depth_ == 1 && event == JsonEvent::Key) {
      in_map_ = text == "weight_map";
    } else if (depth_ == 1 && in_map_ && !closes && event != JsonEvent::ObjectStart) {
      return fail(ErrorCode::Corrupt, "weight_map: found {}, expected an object",
                  describe(event, text));
    } else if (depth_ == 2 && in_map_ && event == JsonEvent::Key) {
      tensor_ = text;
    } else if (depth_ == 2 && in_map_ && !closes) {
      if (event != JsonEvent::String)
        return fail(ErrorCode::Corrupt, "weight_map: {}: found {}, expected a file name",
                    printable(tensor_), describe(event, text));
      if (!shard_of.emplace(tensor_, text).second)
        return fail(ErrorCode::Corrupt, "weight_map: {}: found twice, expected once",
                    printable(tensor_));
    }
    depth_ += opens ? 1 : closes ? -1 : 0;
    return {};
  }

  std::int64_t depth_ = 0;
  bool in_map_ = false;
  std::string tensor_;
};

bool is_plain_file_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
}

Status add_file(CheckpointBuilder& builder, MappedFile file) {
  SafetensorsHeader header = MILLRACE_TRY(parse_safetensors(file.bytes(), file.path()));
  builder.add(std::move(file), std::move(header.tensors));
  return {};
}

Result<std::unique_ptr<Checkpoint>> open_shards(const std::string& folder,
                                                const std::string& index_path) {
  const MappedFile index = MILLRACE_TRY(MappedFile::open(index_path));
  if (index.size() > kMaxIndexBytes)
    return fail(ErrorCode::TooLarge, "{}: found {} bytes, expected at most {}", index_path,
                index.size(), kMaxIndexBytes);
  IndexReader reader;
  MILLRACE_TRY(reader.read(index.text(), index_path));
  if (reader.shard_of.empty())
    return fail(ErrorCode::Corrupt, "{}: weight_map: found no tensors", index_path);
  std::map<std::string_view, std::vector<std::string_view>> tensors_of;  // by shard
  for (const auto& [tensor, shard] : reader.shard_of) {
    if (!is_plain_file_name(shard))
      return fail(ErrorCode::Corrupt,
                  "{}: weight_map: {}: found \"{}\", expected the name of a file in the folder",
                  index_path, printable(tensor), printable(shard));
    tensors_of[shard].push_back(tensor);
  }
  if (tensors_of.size() > kMaxShards)
    return fail(ErrorCode::TooLarge, "{}: weight_map: found {} shards, expected at most {}",
                index_path, tensors_of.size(), kMaxShards);
  CheckpointBuilder builder(folder);
  for (const auto& [shard, tensors] : tensors_of) {
    const std::string path = (std::filesystem::path(folder) / shard).string();
    Result<MappedFile> opened = MappedFile::open(path);
    if (!opened) return fail_in(index_path, opened.error());
    MappedFile file = *std::move(opened);
    SafetensorsHeader header = MILLRACE_TRY(parse_safetensors(file.bytes(), path));
    std::vector<std::string_view> held;
    for (const TensorEntry& entry : header.tensors) held.push_back(entry.name);
    std::sort(held.begin(), held.end());
    for (const std::string_view tensor : tensors)
      if (!std::binary_search(held.begin(), held.end(), tensor))
        return fail(ErrorCode::Corrupt, "{}: tensor {} is not in {}, where the index puts it",
                    index_path, printable(tensor), printable(shard));
    builder.add(std::move(file), std::move(header.tensors));
  }
  return std::move(builder).finish();
}

}  // namespace

Result<std::unique_ptr<Checkpoint>> open_safetensors(const std::string& path) {
  CheckpointBuilder builder(path);
  MILLRACE_TRY(add_file(builder, MILLRACE_TRY(MappedFile::open(path))));
  return std::move(builder).finish();
}

Result<std::unique_ptr<Checkpoint>> open_safetensors_folder(const std::string& folder) {
  const std::filesystem::path root(folder);
  std::error_code ignored;
  const std::string single = (root / "model.safetensors").string();
  if (std::filesystem::exists(single, ignored)) return open_safetensors(single);
  const std::string index = (root / "model.safetensors.index.json").string();
  if (std::filesystem::exists(index, ignored)) return open_shards(folder, index);
  return fail(ErrorCode::NotFound,
              "{}: found neither model.safetensors nor model.safetensors.index.json", folder);
}

}  // namespace millrace
