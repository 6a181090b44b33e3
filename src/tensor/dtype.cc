#include "tensor/dtype.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "base/check.h"

namespace millrace {
namespace {

// Quantised layouts as ggml's block structs define them (ggml-common.h).
constexpr std::array<DTypeLayout, 13> kLayouts = {{
    {"F32", 1, 4},
    {"F16", 1, 2},
    {"BF16", 1, 2},
    {"I32", 1, 4},
    {"Q8_0", 32, 34},
    {"Q4_0", 32, 18},
    {"Q4_1", 32, 20},
    {"Q5_0", 32, 22},
    {"Q5_1", 32, 24},
    {"Q4_K", 256, 144},
    {"Q5_K", 256, 176},
    {"Q6_K", 256, 210},
    {"F8_E4M3", 1, 1},
}};

}  // namespace

const DTypeLayout& layout_of(DType dtype) {
  return kLayouts[static_cast<std::size_t>(dtype)];
}

std::int64_t bytes_of(DType dtype, std::int64_t count) {
  const DTypeLayout& layout = layout_of(dtype);
  check(count % layout.block_size == 0, "an element count must be whole blocks");
  return count / layout.block_size * layout.block_bytes;
}

std::optional<DType> parse_dtype(std::string_view name) {
  std::string upper(name);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (upper == "FLOAT32" || upper == "FLOAT") return DType::F32;
  if (upper == "FLOAT16" || upper == "HALF") return DType::F16;
  if (upper == "BFLOAT16") return DType::BF16;
  if (upper == "FP8" || upper == "FP8_E4M3") return DType::F8_E4M3;
  for (std::size_t i = 0; i < kLayouts.size(); ++i)
    if (kLayouts[i].name == upper) return static_cast<DType>(i);
  return std::nullopt;
}

}  // namespace millrace
