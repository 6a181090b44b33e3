// What a CPU can multiply packed weights with, a type each: how rows are encoded, and the product.
// Each op of packed weights makes a kernel of each.
#pragma once

#include <algorithm>
#include <string>

#include "device/device.h"
#include "ops/kernel_registry.h"
#include "ops/packed_linear/packed_block.h"
#include "ops/packed_linear/panel_formats.h"
#include "ops/packed_linear/row_encoding.h"

namespace millrace {

// Panels of one block: enough for the widest tile, few enough that threads end together.
constexpr std::int64_t kPanelsPerBlock = 4;
// Blocks of a matrix of n rows.
constexpr std::int64_t panel_blocks(std::int64_t n) {
  constexpr std::int64_t rows = kPanelsPerBlock * kPanelRows;
  return (n + rows - 1) / rows;
}
// Block i of the whole product.
inline PackedBlock panels_of(PackedBlock whole, std::int64_t i) {
  whole.first = i * kPanelsPerBlock;
  whole.last =
      std::min((whole.weight.n + kPanelRows - 1) / kPanelRows, whole.first + kPanelsPerBlock);
  return whole;
}
// Where its panels begin.
inline const std::byte* panels_at(const PackedView& weight, std::int64_t panel_bytes,
                                  std::int64_t i) {
  return static_cast<const std::byte*>(weight.panels) + i * kPanelsPerBlock * panel_bytes;
}

// What every kit has beside its name, its priority and rejects(): empty, or why it is not for such
// weights and activations on this processor.
template <typename Row, EncodeRowFn kEncodeRow, PackedBlockFn kMultiply>
struct PackedKit {
  using Encoded = Row;
  static constexpr EncodeRowFn kEncode = kEncodeRow;
  static constexpr PackedBlockFn kBlock = kMultiply;
};

#if defined(__x86_64__)

struct AmxInt8Kit : PackedKit<EncodedInts, avx512_vnni::encode_ints, amx::packed_ints> {
  static constexpr const char* kName = "cpu_amx_int8";
  static constexpr Priority kPriority = Priority::Specialized;
  static std::string rejects(DType weight, DType activation, const DeviceTraits& traits);
};
struct AmxBf16Kit : PackedKit<EncodedHalves, avx512_bf16::encode_halves, amx::packed_halves> {
  static constexpr const char* kName = "cpu_amx_bf16";
  static constexpr Priority kPriority = Priority::Specialized;
  static std::string rejects(DType weight, DType activation, const DeviceTraits& traits);
};
struct Avx512VnniKit : PackedKit<EncodedInts, avx512_vnni::encode_ints, avx512_vnni::packed_ints> {
  static constexpr const char* kName = "cpu_avx512_vnni";
  static constexpr Priority kPriority = Priority::Specialized;
  static std::string rejects(DType weight, DType activation, const DeviceTraits& traits);
};
struct Avx512Bf16Kit
    : PackedKit<EncodedHalves, avx512_bf16::encode_halves, avx512_bf16::packed_halves> {
  static constexpr const char* kName = "cpu_avx512_bf16";
  static constexpr Priority kPriority = Priority::Specialized;
  static std::string rejects(DType weight, DType activation, const DeviceTraits& traits);
};
struct Avx512Kit : PackedKit<EncodedFloats, avx512::encode_floats, avx512::packed_floats> {
  static constexpr const char* kName = "cpu_avx512";
  static constexpr Priority kPriority = Priority::Performant;
  static std::string rejects(DType weight, DType activation, const DeviceTraits& traits);
};
struct Avx2Kit : PackedKit<EncodedInts, avx2::encode_ints, avx2::packed_ints> {
  static constexpr const char* kName = "cpu_avx2";
  static constexpr Priority kPriority = Priority::Performant;
  static std::string rejects(DType weight, DType activation, const DeviceTraits& traits);
};

#elif defined(__aarch64__)

struct NeonDotKit : PackedKit<EncodedInts, neon_dot::encode_ints, neon_dot::packed_ints> {
  static constexpr const char* kName = "cpu_neon_dot";
  static constexpr Priority kPriority = Priority::Specialized;
  static std::string rejects(DType weight, DType activation, const DeviceTraits& traits);
};
struct NeonBf16Kit : PackedKit<EncodedHalves, neon_bf16::encode_halves, neon_bf16::packed_halves> {
  static constexpr const char* kName = "cpu_neon_bf16";
  static constexpr Priority kPriority = Priority::Specialized;
  static std::string rejects(DType weight, DType activation, const DeviceTraits& traits);
};

#endif

}  // namespace millrace
