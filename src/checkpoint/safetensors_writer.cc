#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <set>

#include "base/json.h"
#include "checkpoint/safetensors.h"

namespace millrace {
namespace {

// A file under a temporary name, removed unless it is renamed in the end.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::string path)
      : path_(std::move(path)),
        temporary_(fmt::format("{}.{}.tmp", path_, ::getpid())),
        fd_(::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) {}
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() {
    if (fd_ >= 0) ::close(fd_);
    if (fd_ >= 0 && !kept_) ::unlink(temporary_.c_str());
  }

  Status write(const void* data, std::size_t size) {
    if (fd_ < 0) return failed("create");
    const char* next = static_cast<const char*>(data);
    while (size > 0) {
      const ssize_t written = ::write(fd_, next, size);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return failed("write");
      next += written;
      size -= static_cast<std::size_t>(written);
    }
    return {};
  }

  Status keep() {
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) return failed("rename");
    kept_ = true;
    return {};
  }

 private:
  Status failed(std::string_view what) const {
    return fail(ErrorCode::InvalidArgument, "{}: cannot {}: {}", path_, what, std::strerror(errno));
  }

  std::string path_;
  std::string temporary_;
  int fd_;
  bool kept_ = false;
};

// A JSON string; nothing when the text is not UTF-8.
std::optional<std::string> quoted(const std::string& text) {
  try {
    return Json(text).dump();
  } catch (const Json::type_error&) {
    return std::nullopt;
  }
}

Result<std::string> header_text(const std::vector<const NamedTensor*>& tensors,
                                const std::map<std::string, std::string>& metadata,
                                const std::string& path) {
  const auto not_text = [&](const std::string& name) {
    return fail(ErrorCode::InvalidArgument, "{}: name {} is not UTF-8", path, printable(name));
  };
  std::string header = "{";
  if (!metadata.empty()) {
    header += "\"__metadata__\":{";
    for (const auto& [key, value] : metadata) {
      const auto k = quoted(key);
      const auto v = quoted(value);
      if (!k || !v) return not_text(key);
      header += fmt::format("{}{}:{}", header.ends_with('{') ? "" : ",", *k, *v);
    }
    header += "}";
  }
  std::int64_t offset = 0;
  for (const NamedTensor* tensor : tensors) {
    const auto name = quoted(tensor->name);
    if (!name) return not_text(tensor->name);
    const std::int64_t end = offset + tensor->view.bytes();
    header += fmt::format("{}{}:{{\"dtype\":\"{}\",\"shape\":{},\"data_offsets\":[{},{}]}}",
                          header == "{" ? "" : ",", *name, to_string(tensor->view.dtype),
                          to_string(tensor->view.shape), offset, end);
    offset = end;
  }
  header += "}";
  header.append((8 - header.size() % 8) % 8, ' ');  // so that the data begins aligned
  return header;
}

}  // namespace

Status write_safetensors(const std::string& path, std::span<const NamedTensor> tensors,
                         const std::map<std::string, std::string>& metadata) {
  std::set<std::string_view> names = {"__metadata__"};
  std::vector<const NamedTensor*> order;
  for (const NamedTensor& tensor : tensors) {
    if (is_quantised(tensor.view.dtype))
      return fail(ErrorCode::InvalidArgument,
                  "{}: tensor {}: found type {}, which safetensors files cannot hold", path,
                  printable(tensor.name), to_string(tensor.view.dtype));
    if (!names.insert(tensor.name).second)
      return fail(ErrorCode::InvalidArgument, "{}: tensor {}: found twice or reserved", path,
                  printable(tensor.name));
    order.push_back(&tensor);
  }
  // Larger elements first, so that each tensor is aligned.
  std::stable_sort(order.begin(), order.end(), [](const NamedTensor* a, const NamedTensor* b) {
    return layout_of(a->view.dtype).block_bytes > layout_of(b->view.dtype).block_bytes;
  });
  const std::string header = MILLRACE_TRY(header_text(order, metadata, path));
  const std::uint64_t length = header.size();
  TemporaryFile file(path);
  MILLRACE_TRY(file.write(&length, sizeof(length)));
  MILLRACE_TRY(file.write(header.data(), header.size()));
  for (const NamedTensor* tensor : order)
    MILLRACE_TRY(file.write(tensor->view.data, static_cast<std::size_t>(tensor->view.bytes())));
  return file.keep();
}

}  // namespace millrace
