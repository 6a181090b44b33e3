// Rounds the rows, then cuts the product into blocks of panels, one thread each.
#include "device/cpu/cpu_device.h"
#include "ops/isa.h"
#include "ops/packed_linear/packed_kits.h"
#include "ops/packed_linear/packed_linear_kernels.h"
#include "ops/packed_linear/packing.h"

namespace millrace {
namespace {

template <typename Kit>
void run_packed(const PackedLinearParams& p, Stream& stream) {
  ThreadPool& pool = pool_of(stream);
  PackedBlock block = {};
  block.weight = p.weight;
  block.panel_bytes = packed_bytes(p.weight.dtype, kPanelRows, p.weight.k);
  block.row_bytes = encoded_bytes<typename Kit::Encoded>(p.weight.k);
  std::byte* encoded = scratch_of(stream, p.rows * block.row_bytes);
  block.rows = encoded;
  block.count = p.rows;
  block.bias = p.bias;
  block.residual = p.residual ? p.residual.row<float>(0) : nullptr;
  block.residual_stride = p.residual.stride;
  block.out = p.out.row<float>(0);
  block.out_stride = p.out.stride;
  const auto encode = [&](std::int64_t t) {
    Kit::kEncode(p.in.row<float>(t), p.weight.k, encoded + t * block.row_bytes);
  };
  if (p.rows * p.weight.k < kWorthSharing)
    for (std::int64_t t = 0; t < p.rows; ++t) encode(t);
  else
    pool.run(p.rows, encode);
  const std::int64_t blocks = panel_blocks(p.weight.n);
  pool.run(blocks, [&](std::int64_t i) {
    PackedBlock mine = panels_of(block, i);
    // Threads take blocks by turns, about.
    const std::int64_t next = i + pool.size();
    if (next < blocks) mine.next = panels_at(p.weight, block.panel_bytes, next);
    Kit::kBlock(mine);
  });
}

template <typename Kit>
std::string rejects(const PackedLinear::Key& key, const DeviceTraits& traits) {
  return Kit::rejects(key.weight, key.activation, traits);
}

template <typename... Kits>
std::span<const KernelSpec<PackedLinear>> kernels_with() {
  static constexpr KernelSpec<PackedLinear> kSpecs[] = {
      {Kits::kName, Backend::Cpu, Kits::kPriority, rejects<Kits>, run_packed<Kits>}...};
  return kSpecs;
}

}  // namespace

std::span<const KernelSpec<PackedLinear>> cpu_packed_linear_kernels() {
#if defined(__x86_64__)
  return kernels_with<AmxInt8Kit, AmxBf16Kit, Avx512VnniKit, Avx512Bf16Kit, Avx512Kit, Avx2Kit>();
#elif defined(__aarch64__)
  return kernels_with<NeonDotKit, NeonBf16Kit>();
#else
  return {};
#endif
}

}  // namespace millrace
