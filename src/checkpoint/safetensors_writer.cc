#include <algorithm>
#include <set>

#include "base/json.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/temporary_file.h"

namespace millrace {
namespace {

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
  TemporaryFile file = MILLRACE_TRY(TemporaryFile::create(path));
  MILLRACE_TRY(file.write(&length, sizeof(length)));
  MILLRACE_TRY(file.write(header.data(), header.size()));
  for (const NamedTensor* tensor : order)
    MILLRACE_TRY(file.write(tensor->view.data, static_cast<std::size_t>(tensor->view.bytes())));
  return file.keep();
}

}  // namespace millrace
