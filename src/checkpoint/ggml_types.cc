#include "checkpoint/ggml_types.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "base/check.h"

namespace millrace {
namespace {

struct Row {
  std::string_view name;
  std::int64_t block_size = 0;
  std::int64_t block_bytes = 0;
};

// enum ggml_type, by number. Of the types that Millrace runs, dtype.h has the layout; numbers
// without a size were withdrawn, or (Q8_1) have been of two sizes.
constexpr std::array<Row, 42> kTypes = {{
    {"F32"},
    {"F16"},
    {"Q4_0"},
    {"Q4_1"},
    {"Q4_2"},
    {"Q4_3"},
    {"Q5_0"},
    {"Q5_1"},
    {"Q8_0"},
    {"Q8_1"},
    {"Q2_K", 256, 84},
    {"Q3_K", 256, 110},
    {"Q4_K"},
    {"Q5_K"},
    {"Q6_K"},
    {"Q8_K", 256, 292},
    {"IQ2_XXS", 256, 66},
    {"IQ2_XS", 256, 74},
    {"IQ3_XXS", 256, 98},
    {"IQ1_S", 256, 50},
    {"IQ4_NL", 32, 18},
    {"IQ3_S", 256, 110},
    {"IQ2_S", 256, 82},
    {"IQ4_XS", 256, 136},
    {"I8", 1, 1},
    {"I16", 1, 2},
    {"I32"},
    {"I64", 1, 8},
    {"F64", 1, 8},
    {"IQ1_M", 256, 56},
    {"BF16"},
    {"Q4_0_4_4"},
    {"Q4_0_4_8"},
    {"Q4_0_8_8"},
    {"TQ1_0", 256, 54},
    {"TQ2_0", 256, 66},
    {"IQ4_NL_4_4"},
    {"IQ4_NL_4_8"},
    {"IQ4_NL_8_8"},
    {"MXFP4", 32, 17},
    {"NVFP4", 64, 36},
    {"Q1_0", 128, 18},
}};

}  // namespace

GgmlType ggml_type(std::uint32_t id) {
  if (id >= kTypes.size()) return {fmt::format("ggml type {}", id), std::nullopt};
  const Row& row = kTypes[id];
  GgmlType type = {std::string(row.name), parse_dtype(row.name), row.block_size, row.block_bytes};
  if (type.dtype) {
    type.block_size = layout_of(*type.dtype).block_size;
    type.block_bytes = layout_of(*type.dtype).block_bytes;
  }
  return type;
}

std::uint32_t ggml_type_id(DType dtype) {
  const auto* row = std::find_if(kTypes.begin(), kTypes.end(),
                                 [&](const Row& known) { return known.name == to_string(dtype); });
  check(row != kTypes.end(), "every dtype has a ggml type");
  return static_cast<std::uint32_t>(row - kTypes.begin());
}

}  // namespace millrace
