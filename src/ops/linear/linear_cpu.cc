// Cuts a product into blocks of output columns, one thread each.
#include <algorithm>

#include "device/cpu/cpu_device.h"
#include "ops/isa.h"
#include "ops/linear/linear_block.h"
#include "ops/linear/linear_kernels.h"

namespace millrace {
namespace {

template <LinearBlockFn kBlock>
void run_linear(const LinearParams& p, Stream& stream) {
  const std::int64_t n = p.weight.shape[0];
  const std::int64_t k = p.weight.shape[1];
  LinearBlock block = {};
  block.dtype = p.weight.dtype;
  block.weight = p.weight.data;
  block.row_bytes = bytes_of(p.weight.dtype, k);
  block.k = k;
  block.in = p.in.row<float>(0);
  block.in_stride = p.in.stride;
  block.count = p.rows;
  block.bias = p.bias;
  block.residual = p.residual ? p.residual.row<float>(0) : nullptr;
  block.residual_stride = p.residual.stride;
  block.out = p.out.row<float>(0);
  block.out_stride = p.out.stride;
  // Narrow blocks where there are few columns, so that every thread gets some.
  const std::int64_t threads = pool_of(stream).size();
  std::int64_t columns = (n + threads * 4 - 1) / (threads * 4);
  columns = std::clamp<std::int64_t>((columns + 7) / 8 * 8, 8, kLinearColumns);
  pool_of(stream).run((n + columns - 1) / columns, [&](std::int64_t i) {
    LinearBlock mine = block;
    mine.first = i * columns;
    mine.last = std::min(n, mine.first + columns);
    kBlock(mine);
  });
}

template <Isa kIsa>
std::string rejects(const Linear::Key& key, const DeviceTraits& traits) {
  if (key.activation != DType::F32) return "CPU kernels compute with F32 activations";
  if (key.weight == DType::I32) return "integers are no weights";
  return missing_isa(kIsa, traits);
}

}  // namespace

std::span<const KernelSpec<Linear>> cpu_linear_kernels() {
  static constexpr KernelSpec<Linear> kSpecs[] = {
#if defined(__x86_64__)
    {"cpu_avx512", Backend::Cpu, Priority::Specialized, rejects<Isa::Avx512>,
     run_linear<avx512::linear_block>},
    {"cpu_avx2", Backend::Cpu, Priority::Performant, rejects<Isa::Avx2>,
     run_linear<avx2::linear_block>},
#endif
    {"cpu", Backend::Cpu, Priority::Portable, rejects<Isa::Baseline>,
     run_linear<baseline::linear_block>},
  };
  return kSpecs;
}

}  // namespace millrace
