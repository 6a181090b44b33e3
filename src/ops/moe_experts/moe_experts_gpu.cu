// The fallback for any shape: a wave computes one value of one (row, expert) pair's hidden layer,
// then one output value over all of a row's experts in ascending order.
#include "base/check.h"
#include "ops/gpu_support.h"
#include "ops/moe_experts/moe_experts_gpu.h"

namespace millrace::MILLRACE_GPU {
namespace {

constexpr int kWaves = 4;
constexpr int kThreads = kWaves * gpu::kWave;

// An expert's matrices lie a fixed distance behind the one's before it.
template <typename W>
struct Stack {
  const W* first;
  std::int64_t elements;  // from one expert to the next
  __device__ const W* of(int expert) const { return first + expert * elements; }
};

template <typename W, typename T>
__device__ float dot(const W* weight, const T* in, std::int64_t k) {
  const int lane = static_cast<int>(threadIdx.x) % gpu::kWave;
  float sum = 0;
  for (std::int64_t c = lane; c < k; c += gpu::kWave)
    sum = fmaf(gpu::widen(weight[c]), gpu::widen(in[c]), sum);
  return gpu::wave_sum(sum);
}

template <typename W, typename T>
__global__ void __launch_bounds__(kThreads)
    gate_and_up(MoeExpertsParams p, Stack<W> w1, Stack<W> w3, float* hidden) {
  gpu::wait_for_previous();
  gpu::let_next_start();
  const std::int64_t pair = blockIdx.y;
  const std::int64_t i = std::int64_t{blockIdx.x} * kWaves + threadIdx.x / gpu::kWave;
  if (i >= p.width) return;
  const int expert = p.chosen[pair];
  const std::int64_t k = p.in.columns;
  const T* in = static_cast<const T*>(p.in.data) + pair / p.top_k * p.in.stride;
  const float gate = dot(w1.of(expert) + i * k, in, k);
  const float up = dot(w3.of(expert) + i * k, in, k);
  if (threadIdx.x % gpu::kWave == 0) hidden[pair * p.width + i] = gpu::gated(gate, up);
}

template <typename W>
__global__ void __launch_bounds__(kThreads)
    down(MoeExpertsParams p, Stack<W> w2, const float* hidden) {
  gpu::wait_for_previous();
  gpu::let_next_start();
  const std::int64_t t = blockIdx.y;
  const std::int64_t n = std::int64_t{blockIdx.x} * kWaves + threadIdx.x / gpu::kWave;
  if (n >= p.out.columns) return;
  float sum = 0;
  for (int j = 0; j < p.top_k; ++j) {
    const std::int64_t pair = t * p.top_k + j;
    const W* row = w2.of(p.chosen[pair]) + n * p.width;
    sum = fmaf(p.weights[pair], dot(row, hidden + pair * p.width, p.width), sum);
  }
  if (threadIdx.x % gpu::kWave == 0) static_cast<float*>(p.out.data)[t * p.out.stride + n] += sum;
}

template <typename W>
Stack<W> stack_of(const MoeExpertsParams& p, TensorView ExpertView::*member) {
  const auto* first = (p.experts[0].*member).template as<W>();
  Stack<W> stack = {first, 0};
  if (p.expert_count > 1) stack.elements = (p.experts[1].*member).template as<W>() - first;
  check((p.experts[p.expert_count - 1].*member).template as<W>() ==
            first + (p.expert_count - 1) * stack.elements,
        "a GPU needs a layer's experts at equal distances");
  return stack;
}

template <typename W, typename T>
void run_typed(const MoeExpertsParams& p, Stream& stream) {
  auto* hidden = static_cast<float*>(p.workspace);
  const auto blocks = [](std::int64_t waves) {
    return static_cast<unsigned>((waves + kWaves - 1) / kWaves);
  };
  gpu::launch(gate_and_up<W, T>,
              {.grid = {blocks(p.width), static_cast<unsigned>(p.rows * p.top_k)},
               .block = {kThreads},
               .overlaps = true},
              stream, p, stack_of<W>(p, &ExpertView::w1), stack_of<W>(p, &ExpertView::w3), hidden);
  gpu::launch(down<W>,
              {.grid = {blocks(p.out.columns), static_cast<unsigned>(p.rows)},
               .block = {kThreads},
               .overlaps = true},
              stream, p, stack_of<W>(p, &ExpertView::w2), static_cast<const float*>(hidden));
}

}  // namespace

void run_moe_experts(const MoeExpertsParams& p, Stream& stream) {
  if (p.rows == 0) return;
  const bool narrow_in = p.in.dtype == DType::BF16;
  if (p.experts[0].w1.dtype == DType::BF16)
    narrow_in ? run_typed<BF16, BF16>(p, stream) : run_typed<BF16, float>(p, stream);
  else
    narrow_in ? run_typed<float, BF16>(p, stream) : run_typed<float, float>(p, stream);
}

}  // namespace millrace::MILLRACE_GPU
