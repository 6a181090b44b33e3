// Writes GGUF files (version 3) without holding their tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "checkpoint/gguf_metadata.h"
#include "checkpoint/temporary_file.h"
#include "tensor/tensor_view.h"

namespace millrace {

// The key-value part of a file, in the order of the calls. A key may be put once.
class GgufKeys {
 public:
  void put_u32(std::string_view key, std::uint32_t value);
  void put_i32(std::string_view key, std::int32_t value);
  void put_f32(std::string_view key, float value);
  void put_bool(std::string_view key, bool value);
  void put_string(std::string_view key, std::string_view value);
  void put_strings(std::string_view key, std::span<const std::string> values);
  void put_i32s(std::string_view key, std::span<const std::int32_t> values);
  // A value as another file holds it.
  void put(std::string_view key, const GgufValue& value);

  bool has(std::string_view key) const { return keys_.contains(key); }
  std::uint64_t count() const { return keys_.size(); }
  const std::string& bytes() const { return bytes_; }

 private:
  void begin(std::string_view key, GgufType type);

  std::set<std::string, std::less<>> keys_;
  std::string bytes_;
};

struct GgufTensorInfo {
  std::string name;
  Shape shape;  // slowest first, as everywhere here; the file has it reversed
  DType dtype = DType::F32;

  std::int64_t bytes() const { return bytes_of(dtype, shape.elements()); }
};

class GgufWriter {
 public:
  // Writes everything before the data under a temporary name beside `path`. Refuses two tensors of
  // one name.
  static Result<GgufWriter> create(std::string path, const GgufKeys& keys,
                                   std::vector<GgufTensorInfo> tensors);

  // The next bytes of the tensors' data, one tensor after the other in the order given. A call may
  // bring part of a tensor, but not parts of two.
  Status append(std::span<const std::byte> data);

  // Gives the file its name; every tensor must have been written.
  Status finish();

  std::uint64_t file_bytes() const { return written_; }

 private:
  GgufWriter(TemporaryFile file, std::vector<GgufTensorInfo> tensors)
      : file_(std::move(file)), tensors_(std::move(tensors)) {}
  Status write(const void* data, std::size_t size);
  Status pad();

  TemporaryFile file_;
  std::vector<GgufTensorInfo> tensors_;
  std::size_t next_ = 0;        // the tensor whose data is written
  std::int64_t in_tensor_ = 0;  // bytes of it that are
  std::uint64_t written_ = 0;
};

}  // namespace millrace
