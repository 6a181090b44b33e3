// The tensor types of GGUF files by their numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tensor/dtype.h"

namespace millrace {

// How elements of a ggml type lie in a file. Types that Millrace does not run are here for their
// names and sizes.
struct GgmlType {
  std::string name;            // "IQ2_XS"; "ggml type 77" where the number is unknown
  std::optional<DType> dtype;  // nothing where Millrace does not run it
  // 0 where they are unknown, or where files do not agree on them.
  std::int64_t block_size = 0;
  std::int64_t block_bytes = 0;
};

GgmlType ggml_type(std::uint32_t id);

// The other way, for every type that Millrace runs.
std::uint32_t ggml_type_id(DType dtype);

}  // namespace millrace
