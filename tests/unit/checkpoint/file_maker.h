// Makes checkpoint files byte by byte, right or wrong as a test wants them.
#pragma once

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace millrace::testing {

// A folder that lives as long as the test.
class TempFolder {
 public:
  TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder();

  std::string path(std::string_view name = {}) const { return (root_ / name).string(); }
  std::string write(std::string_view name, std::string_view bytes) const;

 private:
  std::filesystem::path root_;
};

std::string data_path(std::string_view name);
std::string read_file(const std::string& path);

inline std::span<const std::byte> as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

// The value's bytes as they lie in memory.
template <typename T>
std::string raw(const T& value) {
  std::string bytes(sizeof(T), '\0');
  std::memcpy(bytes.data(), &value, sizeof(T));
  return bytes;
}

// A safetensors file of a header text and data.
std::string safetensors(std::string_view header, std::string_view data = {});

// A GGUF file, piece by piece. Nothing is checked.
class GgufMaker {
 public:
  std::uint32_t version = 3;
  std::string magic = "GGUF";

  static std::string text(std::string_view value);  // length, then bytes
  // A key whose value is of the given type number, with its bytes.
  GgufMaker& key(std::string_view name, std::uint32_t type, std::string_view value);
  GgufMaker& tensor(std::string_view name, std::initializer_list<std::uint64_t> dims,
                    std::uint32_t type, std::uint64_t offset);
  // With the data aligned to `alignment`; counts other than the true ones where given.
  std::string file(std::string_view data, std::size_t alignment = 32, std::int64_t tensors = -1,
                   std::int64_t keys = -1) const;

 private:
  std::string keys_;
  std::string tensors_;
  std::uint64_t key_count_ = 0;
  std::uint64_t tensor_count_ = 0;
};

// Parses `file` cut at every length, and with each of `flips` random bits of its first
// `header_bytes` turned over. parse() must survive all of it; returns how often it refused the
// file, and fails the test when a message is not one line that begins with `origin`, or when a
// file cut short is accepted.
int torture(std::string_view file, std::size_t header_bytes, int flips, std::string_view origin,
            const std::function<Status(std::span<const std::byte>)>& parse);

}  // namespace millrace::testing
