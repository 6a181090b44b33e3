// Rounds the rows, then cuts the product into blocks of panels, one thread each.
#include <algorithm>

#include "device/cpu/cpu_device.h"
#include "ops/isa.h"
#include "ops/packed_linear/packed_block.h"
#include "ops/packed_linear/packed_linear_kernels.h"
#include "ops/packed_linear/packing.h"
#include "ops/packed_linear/panel_formats.h"
#include "ops/packed_linear/row_encoding.h"

namespace millrace {
namespace {

// Panels of one block: enough for the widest tile, few enough that threads end together.
constexpr std::int64_t kPanelsPerBlock = 4;

template <typename Encoded, EncodeRowFn kEncode, PackedBlockFn kBlock>
void run_packed(const PackedLinearParams& p, Stream& stream) {
  ThreadPool& pool = pool_of(stream);
  PackedBlock block = {};
  block.weight = p.weight;
  block.panel_bytes = packed_bytes(p.weight.dtype, kPanelRows, p.weight.k);
  block.row_bytes = encoded_bytes<Encoded>(p.weight.k);
  std::byte* encoded = scratch_of(stream, p.rows * block.row_bytes);
  block.rows = encoded;
  block.count = p.rows;
  block.bias = p.bias;
  block.residual = p.residual ? p.residual.row<float>(0) : nullptr;
  block.residual_stride = p.residual.stride;
  block.out = p.out.row<float>(0);
  block.out_stride = p.out.stride;
  const auto encode = [&](std::int64_t t) {
    kEncode(p.in.row<float>(t), p.weight.k, encoded + t * block.row_bytes);
  };
  if (p.rows * p.weight.k < kWorthSharing)
    for (std::int64_t t = 0; t < p.rows; ++t) encode(t);
  else
    pool.run(p.rows, encode);
  const std::int64_t panels = (p.weight.n + kPanelRows - 1) / kPanelRows;
  pool.run((panels + kPanelsPerBlock - 1) / kPanelsPerBlock, [&](std::int64_t i) {
    PackedBlock mine = block;
    mine.first = i * kPanelsPerBlock;
    mine.last = std::min(panels, mine.first + kPanelsPerBlock);
    kBlock(mine);
  });
}

std::string rejects_type(const PackedLinear::Key& key, bool halves) {
  if (key.activation != DType::F32) return "it takes F32 activations";
  if (halves && key.weight != DType::BF16) return "for BF16 weights alone";
  if (!halves && !is_quantised(key.weight)) return "for quantised weights alone";
  return {};
}

#if defined(__x86_64__)
std::string rejects_avx2(const PackedLinear::Key& key, const DeviceTraits& traits) {
  const std::string reason = rejects_type(key, false);
  return reason.empty() ? missing_isa(Isa::Avx2, traits) : reason;
}
std::string rejects_vnni(const PackedLinear::Key& key, const DeviceTraits& traits) {
  const std::string reason = rejects_type(key, false);
  if (!reason.empty() || traits.cpu.avx512_vnni) return reason;
  return "the processor has no AVX-512 VNNI";
}
std::string rejects_bf16(const PackedLinear::Key& key, const DeviceTraits& traits) {
  const std::string reason = rejects_type(key, true);
  if (!reason.empty()) return reason;
  if (!traits.cpu.avx512_bf16) return "the processor has no AVX-512 BF16";
  if (!traits.cpu.avx512_bf16_is_fast) return "the processor multiplies floats faster than BF16";
  return {};
}
std::string rejects_avx512(const PackedLinear::Key& key, const DeviceTraits& traits) {
  const std::string reason = rejects_type(key, true);
  return reason.empty() ? missing_isa(Isa::Avx512, traits) : reason;
}
#elif defined(__aarch64__)
std::string rejects_neon_dot(const PackedLinear::Key& key, const DeviceTraits& traits) {
  const std::string reason = rejects_type(key, false);
  if (!reason.empty() || traits.cpu.neon_dot) return reason;
  return "the processor has no dot products of bytes";
}
std::string rejects_neon_bf16(const PackedLinear::Key& key, const DeviceTraits& traits) {
  const std::string reason = rejects_type(key, true);
  if (!reason.empty() || traits.cpu.neon_bf16) return reason;
  return "the processor has no BF16";
}
#endif

}  // namespace

std::span<const KernelSpec<PackedLinear>> cpu_packed_linear_kernels() {
#if defined(__x86_64__)
  static constexpr KernelSpec<PackedLinear> kSpecs[] = {
      {"cpu_avx512_vnni", Backend::Cpu, Priority::Specialized, rejects_vnni,
       run_packed<EncodedInts, avx512_vnni::encode_ints, avx512_vnni::packed_ints>},
      {"cpu_avx512_bf16", Backend::Cpu, Priority::Specialized, rejects_bf16,
       run_packed<EncodedHalves, avx512_bf16::encode_halves, avx512_bf16::packed_halves>},
      {"cpu_avx512", Backend::Cpu, Priority::Performant, rejects_avx512,
       run_packed<EncodedFloats, avx512::encode_floats, avx512::packed_floats>},
      {"cpu_avx2", Backend::Cpu, Priority::Performant, rejects_avx2,
       run_packed<EncodedInts, avx2::encode_ints, avx2::packed_ints>},
  };
  return kSpecs;
#elif defined(__aarch64__)
  static constexpr KernelSpec<PackedLinear> kSpecs[] = {
      {"cpu_neon_dot", Backend::Cpu, Priority::Specialized, rejects_neon_dot,
       run_packed<EncodedInts, neon_dot::encode_ints, neon_dot::packed_ints>},
      {"cpu_neon_bf16", Backend::Cpu, Priority::Specialized, rejects_neon_bf16,
       run_packed<EncodedHalves, neon_bf16::encode_halves, neon_bf16::packed_halves>},
  };
  return kSpecs;
#else
  return {};
#endif
}

}  // namespace millrace
