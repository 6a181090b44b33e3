#include "tests/unit/checkpoint/file_maker.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <random>
#include <sstream>

namespace millrace::testing {

TempFolder::TempFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "millrace-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
  root_ = pattern;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(root_, ignored);
}

std::string TempFolder::write(std::string_view name, std::string_view bytes) const {
  const std::string at = path(name);
  std::ofstream(at, std::ios::binary) << bytes;
  return at;
}

std::string data_path(std::string_view name) {
  return std::string(MILLRACE_SOURCE_DIR) + "/tests/data/" + std::string(name);
}

std::string read_file(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

std::string safetensors(std::string_view header, std::string_view data) {
  return raw(std::uint64_t{header.size()}) + std::string(header) + std::string(data);
}

std::string GgufMaker::text(std::string_view value) {
  return raw(std::uint64_t{value.size()}) + std::string(value);
}

GgufMaker& GgufMaker::key(std::string_view name, std::uint32_t type, std::string_view value) {
  keys_ += text(name) + raw(type) + std::string(value);
  ++key_count_;
  return *this;
}

GgufMaker& GgufMaker::tensor(std::string_view name, std::initializer_list<std::uint64_t> dims,
                             std::uint32_t type, std::uint64_t offset) {
  tensors_ += text(name) + raw(static_cast<std::uint32_t>(dims.size()));
  for (const std::uint64_t dim : dims) tensors_ += raw(dim);
  tensors_ += raw(type) + raw(offset);
  ++tensor_count_;
  return *this;
}

std::string GgufMaker::file(std::string_view data, std::size_t alignment, std::int64_t tensors,
                            std::int64_t keys) const {
  std::string out = magic + raw(version);
  out += raw(tensors < 0 ? tensor_count_ : static_cast<std::uint64_t>(tensors));
  out += raw(keys < 0 ? key_count_ : static_cast<std::uint64_t>(keys));
  out += keys_ + tensors_;
  if (!data.empty()) out.append((alignment - out.size() % alignment) % alignment, '\0');
  return out + std::string(data);
}

int torture(std::string_view file, std::size_t header_bytes, int flips, std::string_view origin,
            const std::function<Status(std::span<const std::byte>)>& parse) {
  int refused = 0;
  const auto attempt = [&](std::string_view bytes) {
    // An allocation of its own, so that a sanitizer sees a read past the end.
    const auto copy = std::make_unique<std::byte[]>(bytes.size());
    std::memcpy(copy.get(), bytes.data(), bytes.size());
    const Status status = parse({copy.get(), bytes.size()});
    if (status) return true;
    ++refused;
    const std::string& message = status.error().message;
    EXPECT_TRUE(message.starts_with(std::string(origin) + ": ")) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_LT(message.size(), 2000u) << message;
    return false;
  };
  for (std::size_t length = 0; length < file.size(); ++length)
    EXPECT_FALSE(attempt(file.substr(0, length))) << "accepted when cut at " << length;
  std::mt19937_64 random(1);
  std::string changed(file);
  for (int i = 0; i < flips; ++i) {
    const std::size_t at = random() % header_bytes;
    const int bit = 1 << (random() % 8);
    changed[at] = static_cast<char>(changed[at] ^ bit);
    attempt(changed);
    changed[at] = file[at];
  }
  return refused;
}

}  // namespace millrace::testing
