// Rows are grouped by expert, so that each chosen expert's weights are read once a step:
//   gate, up = W1, W3 of the gathered rows;  gate = silu(gate) * up;  down = W2 gate
// one row a (token, expert) pair, then each token adds up its pairs in ascending expert order.
#include <algorithm>

#include "device/cpu/cpu_device.h"
#include "ops/isa.h"
#include "ops/linear/linear_block.h"
#include "ops/moe_experts/expert_pairs.h"
#include "ops/moe_experts/moe_experts_kernels.h"
#include "ops/silu_mul/silu_mul_kernels.h"

namespace millrace {
namespace {

LinearBlock product(const TensorView& weight, std::int64_t count) {
  LinearBlock block = {};
  block.dtype = weight.dtype;
  block.weight = weight.data;
  block.k = weight.shape[1];
  block.row_bytes = bytes_of(weight.dtype, block.k);
  block.count = count;
  return block;
}

template <LinearBlockFn kBlock, void (*kSiluRow)(const SiluMulParams&, std::int64_t)>
void run_experts(const MoeExpertsParams& p, Stream& stream) {
  ThreadPool& pool = pool_of(stream);
  const ExpertPairs pairs = group_by_expert(p);
  const std::int64_t hidden = p.in.columns;
  const std::int64_t count = p.rows * p.top_k;
  const std::int64_t wide_blocks = (p.width + kLinearColumns - 1) / kLinearColumns;
  const std::int64_t hidden_blocks = (hidden + kLinearColumns - 1) / kLinearColumns;

  // Tasks: every used expert's blocks of W1, then of W3.
  pool.run(pairs.used_count * wide_blocks * 2, [&](std::int64_t task) {
    const std::int64_t part = task % (2 * wide_blocks);
    const int e = pairs.used[task / (2 * wide_blocks)];
    const bool is_up = part >= wide_blocks;
    const std::int64_t first_pair = pairs.first[e];
    LinearBlock block = product(is_up ? p.experts[e].w3 : p.experts[e].w1, pairs.count_of(e));
    block.first = part % wide_blocks * kLinearColumns;
    block.last = std::min(p.width, block.first + kLinearColumns);
    block.in = p.in.row<float>(0);
    block.in_stride = p.in.stride;
    block.in_rows = pairs.row + first_pair;
    block.out = (is_up ? pairs.up : pairs.gate) + first_pair * p.width;
    block.out_stride = p.width;
    kBlock(block);
  });
  const MatrixView gate = {pairs.gate, p.width, p.width, DType::F32};
  const MatrixView up = {pairs.up, p.width, p.width, DType::F32};
  const SiluMulParams silu = {.gate = gate, .up = up, .out = gate, .rows = count};
  pool.run_ranges(count, 4, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t t = first; t < last; ++t) kSiluRow(silu, t);
  });
  pool.run(pairs.used_count * hidden_blocks, [&](std::int64_t task) {
    const int e = pairs.used[task / hidden_blocks];
    const std::int64_t first_pair = pairs.first[e];
    LinearBlock block = product(p.experts[e].w2, pairs.count_of(e));
    block.first = task % hidden_blocks * kLinearColumns;
    block.last = std::min(hidden, block.first + kLinearColumns);
    block.in = pairs.gate + first_pair * p.width;
    block.in_stride = p.width;
    block.out = pairs.down + first_pair * hidden;
    block.out_stride = hidden;
    kBlock(block);
  });
  add_up(p, pairs, pool);
}

template <Isa kIsa>
std::string rejects(const MoeExperts::Key& key, const DeviceTraits& traits) {
  if (key.activation != DType::F32) return "CPU kernels compute with F32 activations";
  return missing_isa(kIsa, traits);
}

}  // namespace

std::span<const KernelSpec<MoeExperts>> cpu_moe_experts_kernels() {
  static constexpr KernelSpec<MoeExperts> kSpecs[] = {
#if defined(__x86_64__)
    {"cpu_avx512", Backend::Cpu, Priority::Specialized, rejects<Isa::Avx512>,
     run_experts<avx512::linear_block, avx512::silu_mul_row>},
    {"cpu_avx2", Backend::Cpu, Priority::Performant, rejects<Isa::Avx2>,
     run_experts<avx2::linear_block, avx2::silu_mul_row>},
#endif
    {"cpu", Backend::Cpu, Priority::Portable, rejects<Isa::Baseline>,
     run_experts<baseline::linear_block, baseline::silu_mul_row>},
  };
  return kSpecs;
}

}  // namespace millrace
