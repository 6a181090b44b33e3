// What a file's header says about one tensor, before any of its bytes are read.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "tensor/dtype.h"
#include "tensor/tensor_view.h"

namespace millrace {

struct TensorEntry {
  std::string name;
  std::string type;                // as the format spells it: "BF16", "F8_E4M3", "IQ2_XS"
  std::optional<DType> dtype;      // nothing where Millrace does not run the type
  std::vector<std::int64_t> dims;  // slowest first; the product of those above 0 fits an int64
  std::uint64_t offset = 0;        // of its first byte in the file
  std::uint64_t bytes = 0;         // [offset, offset + bytes) lies inside the file

  // Whether a TensorView can describe it.
  bool readable() const { return dtype && dims.size() <= Shape::kMaxRank; }
};

// "[2048, 3]"
std::string dims_to_string(std::span<const std::int64_t> dims);

// Bytes of a tensor of these dims in blocks of block_size elements along the last of them, each
// block_bits long. Nothing when a dim is negative, when the last is no multiple of block_size, or
// when elements or bytes do not fit an int64 (dims of 0 left aside, so that no order of
// multiplication overflows).
std::optional<std::uint64_t> bytes_of_dims(std::span<const std::int64_t> dims,
                                           std::int64_t block_size, std::int64_t block_bits);

// A name from a file, fit for a one-line message: control characters escaped, long ones cut.
std::string printable(std::string_view name);

}  // namespace millrace
