#include "checkpoint/safetensors.h"

#include <cstring>
#include <filesystem>

#include "base/json.h"

namespace millrace {
namespace {

class SafetensorsCheckpoint final : public Checkpoint {
 public:
  explicit SafetensorsCheckpoint(std::string origin) : origin_(std::move(origin)) {}

  Status add(MappedFile file);

  const std::string& origin() const override { return origin_; }
  const TensorView* find(std::string_view name) const override {
    const auto it = index_.find(name);
    return it == index_.end() ? nullptr : &tensors_[it->second].view;
  }
  const std::vector<NamedTensor>& tensors() const override { return tensors_; }

 private:
  std::string origin_;
  std::vector<MappedFile> files_;
  std::vector<NamedTensor> tensors_;
  std::map<std::string, std::size_t, std::less<>> index_;
};

Status SafetensorsCheckpoint::add(MappedFile file) {
  const std::string path = file.path();
  std::uint64_t header = 0;
  if (file.size() < sizeof(header))
    return fail(ErrorCode::Corrupt, "{}: {} bytes, too short for a safetensors file", path,
                file.size());
  std::memcpy(&header, file.bytes().data(), sizeof(header));
  if (header > file.size() - 8)
    return fail(ErrorCode::Corrupt, "{}: header of {} bytes in a file of {}", path, header,
                file.size());
  const Json json = MILLRACE_TRY(parse_json(file.text().substr(8, header), path));
  const std::byte* data = file.bytes().data() + 8 + header;
  const std::uint64_t size = file.size() - 8 - header;
  for (const auto& [name, info] : json.items()) {
    if (name == "__metadata__") continue;
    const auto dtype = parse_dtype(json_string(info, "dtype")->value_or(""));
    if (!dtype) continue;
    std::vector<std::int64_t> dims = info.at("shape").get<std::vector<std::int64_t>>();
    const auto offsets = info.at("data_offsets").get<std::vector<std::uint64_t>>();
    TensorView view{data + offsets.at(0), *dtype, Shape(dims)};
    if (offsets.at(1) > size ||
        offsets.at(1) - offsets.at(0) != static_cast<std::uint64_t>(view.bytes()))
      return fail(ErrorCode::Corrupt, "{}: tensor {} lies outside of the file", path, name);
    index_.emplace(name, tensors_.size());
    tensors_.push_back({name, view});
  }
  files_.push_back(std::move(file));
  return {};
}

}  // namespace

Result<std::unique_ptr<Checkpoint>> open_safetensors(const std::string& path) {
  auto checkpoint = std::make_unique<SafetensorsCheckpoint>(path);
  if (const Status s = checkpoint->add(MILLRACE_TRY(MappedFile::open(path))); !s)
    return tl::unexpected(s.error());
  return checkpoint;
}

Result<std::unique_ptr<Checkpoint>> open_safetensors_folder(const std::string& folder) {
  return open_safetensors(folder + "/model.safetensors");
}

}  // namespace millrace
