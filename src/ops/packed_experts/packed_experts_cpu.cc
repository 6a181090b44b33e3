// Rows are rounded once, each chosen expert's panels read once a step. One task makes the same
// columns of gate and up of an expert and joins them, so that three loops over the threads do a
// layer's few rows: gate and up, down, the sum over a token's experts. Many are rounded in two
// more.
#include "device/cpu/cpu_device.h"
#include "ops/isa.h"
#include "ops/moe_experts/expert_pairs.h"
#include "ops/packed_experts/packed_experts_kernels.h"
#include "ops/packed_linear/packed_kits.h"
#include "ops/packed_linear/packing.h"
#include "ops/silu_mul/silu_mul_kernels.h"

namespace millrace {
namespace {

using SiluRowFn = void (*)(const SiluMulParams&, std::int64_t row);

// All of an expert's product, one block of which is a task.
PackedBlock product(const PackedView& weight, std::int64_t count) {
  PackedBlock block = {};
  block.weight = weight;
  block.panel_bytes = packed_bytes(weight.dtype, kPanelRows, weight.k);
  block.count = count;
  return block;
}

// Rounds `count` rows of k floats.
template <typename Kit>
void encode_rows(ThreadPool& pool, const float* in, std::int64_t stride, std::int64_t k,
                 std::int64_t count, std::byte* to) {
  const std::int64_t bytes = encoded_bytes<typename Kit::Encoded>(k);
  const auto encode = [&](std::int64_t t) { Kit::kEncode(in + t * stride, k, to + t * bytes); };
  if (count * k < kWorthSharing)
    for (std::int64_t t = 0; t < count; ++t) encode(t);
  else
    pool.run(count, encode);
}

template <typename Kit, SiluRowFn kSiluRow>
void run_experts(const PackedExpertsParams& p, Stream& stream) {
  ThreadPool& pool = pool_of(stream);
  const ExpertPairs pairs = group_by_expert(p);
  const std::int64_t hidden = p.in.columns;
  const std::int64_t count = p.rows * p.top_k;
  const std::int64_t row_bytes = encoded_bytes<typename Kit::Encoded>(hidden);
  const std::int64_t pair_bytes = encoded_bytes<typename Kit::Encoded>(p.width);
  std::byte* rows = scratch_of(stream, p.rows * row_bytes + count * pair_bytes);
  std::byte* gated = rows + p.rows * row_bytes;

  encode_rows<Kit>(pool, p.in.row<float>(0), p.in.stride, hidden, p.rows, rows);
  const std::int64_t wide_blocks = panel_blocks(p.width);
  const std::int64_t inner_bytes = packed_bytes(p.experts->w1.dtype, kPanelRows, hidden);
  // What a task reads first of one of an expert's matrices; null beyond the last task.
  const auto panels_of_task = [&](std::int64_t task, PackedView PackedExpertView::*matrix,
                                  std::int64_t blocks, std::int64_t panel_bytes) {
    if (task >= pairs.used_count * blocks) return static_cast<const std::byte*>(nullptr);
    return panels_at(p.experts[pairs.used[task / blocks]].*matrix, panel_bytes, task % blocks);
  };
  pool.run(pairs.used_count * wide_blocks, [&](std::int64_t task) {
    const int e = pairs.used[task / wide_blocks];
    const std::int64_t first = pairs.first[e];
    const auto multiply = [&](const PackedView& weight, float* out, const std::byte* next) {
      PackedBlock block = product(weight, pairs.count_of(e));
      block.rows = rows;
      block.row_bytes = row_bytes;
      block.in_rows = pairs.row + first;
      block.out = out + first * p.width;
      block.out_stride = p.width;
      block.next = next;
      block = panels_of(block, task % wide_blocks);
      Kit::kBlock(block);
      const std::int64_t column = block.first * kPanelRows;
      return MatrixView{block.out + column, std::min(p.width, block.last * kPanelRows) - column,
                        p.width, DType::F32};
    };
    const MatrixView gate =
        multiply(p.experts[e].w1, pairs.gate,
                 panels_of_task(task, &PackedExpertView::w3, wide_blocks, inner_bytes));
    // Threads take tasks by turns, about.
    const MatrixView up = multiply(
        p.experts[e].w3, pairs.up,
        panels_of_task(task + pool.size(), &PackedExpertView::w1, wide_blocks, inner_bytes));
    const SiluMulParams silu = {.gate = gate, .up = up, .out = gate, .rows = pairs.count_of(e)};
    for (std::int64_t t = 0; t < silu.rows; ++t) kSiluRow(silu, t);
  });

  encode_rows<Kit>(pool, pairs.gate, p.width, p.width, count, gated);
  const std::int64_t hidden_blocks = panel_blocks(hidden);
  pool.run(pairs.used_count * hidden_blocks, [&](std::int64_t task) {
    const int e = pairs.used[task / hidden_blocks];
    PackedBlock block = product(p.experts[e].w2, pairs.count_of(e));
    block.rows = gated + pairs.first[e] * pair_bytes;
    block.row_bytes = pair_bytes;
    block.out = pairs.down + pairs.first[e] * hidden;
    block.out_stride = hidden;
    block.next =
        panels_of_task(task + pool.size(), &PackedExpertView::w2, hidden_blocks, block.panel_bytes);
    Kit::kBlock(panels_of(block, task % hidden_blocks));
  });
  add_up(p, pairs, pool);
}

// All three matrices must be for it.
template <typename Kit>
std::string rejects(const PackedExperts::Key& key, const DeviceTraits& traits) {
  const std::string of_inner = Kit::rejects(key.gate_up, key.activation, traits);
  return of_inner.empty() ? Kit::rejects(key.down, key.activation, traits) : of_inner;
}

template <typename Kit, SiluRowFn kSiluRow>
constexpr KernelSpec<PackedExperts> kernel_with() {
  return {Kit::kName, Backend::Cpu, Kit::kPriority, rejects<Kit>, run_experts<Kit, kSiluRow>};
}

}  // namespace

std::span<const KernelSpec<PackedExperts>> cpu_packed_experts_kernels() {
#if defined(__x86_64__)
  static constexpr KernelSpec<PackedExperts> kSpecs[] = {
      kernel_with<AmxInt8Kit, avx512::silu_mul_row>(),
      kernel_with<AmxBf16Kit, avx512::silu_mul_row>(),
      kernel_with<Avx512VnniKit, avx512::silu_mul_row>(),
      kernel_with<Avx512Bf16Kit, avx512::silu_mul_row>(),
      kernel_with<Avx512Kit, avx512::silu_mul_row>(),
      kernel_with<Avx2Kit, avx2::silu_mul_row>()};
  return kSpecs;
#elif defined(__aarch64__)
  static constexpr KernelSpec<PackedExperts> kSpecs[] = {
      kernel_with<NeonDotKit, baseline::silu_mul_row>(),
      kernel_with<NeonBf16Kit, baseline::silu_mul_row>()};
  return kSpecs;
#else
  return {};
#endif
}

}  // namespace millrace
