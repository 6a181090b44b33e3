// One wave a row: the best score is taken out k times.
#include "ops/gpu_support.h"
#include "ops/moe_route/moe_route_gpu.h"

namespace millrace::MILLRACE_GPU {
namespace {

constexpr int kMostExperts = 256;
constexpr int kMostChosen = 32;
constexpr int kPerLane = kMostExperts / gpu::kWave;

__global__ void __launch_bounds__(gpu::kWave) moe_route(MoeRouteParams p) {
  gpu::wait_for_previous();
  gpu::let_next_start();
  const std::int64_t t = blockIdx.x;
  const int lane = static_cast<int>(threadIdx.x);
  const int experts = static_cast<int>(p.logits.columns);
  const float* logits = static_cast<const float*>(p.logits.data) + t * p.logits.stride;
  float score[kPerLane];
  float biased[kPerLane];
  for (int j = 0; j < kPerLane; ++j) {
    const int e = lane + j * gpu::kWave;
    score[j] = e < experts ? 1.0f / (1.0f + expf(-logits[e])) : 0.0f;
    biased[j] = e < experts ? score[j] + (p.bias ? p.bias[e] : 0.0f) : -INFINITY;
  }
  __shared__ int chosen[kMostChosen];
  __shared__ float weights[kMostChosen];
  for (int round = 0; round < p.top_k; ++round) {
    float best = -INFINITY;
    int best_expert = experts;  // ties go to the lower index
    for (int j = 0; j < kPerLane; ++j) {
      const int e = lane + j * gpu::kWave;
      if (e < experts && (biased[j] > best || best_expert == experts)) {
        best = biased[j];
        best_expert = e;
      }
    }
    for (int mask = gpu::kWave / 2; mask > 0; mask /= 2) {
      const float other = gpu::shuffle_xor(best, mask);
      const int other_expert = gpu::shuffle_xor(best_expert, mask);
      const bool better = other > best || (other == best && other_expert < best_expert) ||
                          (best_expert == experts && other_expert < experts);
      if (better) {
        best = other;
        best_expert = other_expert;
      }
    }
    for (int j = 0; j < kPerLane; ++j) {
      if (lane + j * gpu::kWave != best_expert) continue;
      chosen[round] = best_expert;
      weights[round] = score[j];
      biased[j] = -INFINITY;
    }
    gpu::sync_wave();
  }
  if (lane != 0) return;
  float sum = 0;
  for (int i = 0; i < p.top_k; ++i) {  // ascending experts: insertion sort
    const int expert = chosen[i];
    const float weight = weights[i];
    int at = i;
    for (; at > 0 && chosen[at - 1] > expert; --at) {
      chosen[at] = chosen[at - 1];
      weights[at] = weights[at - 1];
    }
    chosen[at] = expert;
    weights[at] = weight;
  }
  for (int i = 0; i < p.top_k; ++i) sum += weights[i];
  for (int i = 0; i < p.top_k; ++i) {
    p.experts[t * p.top_k + i] = chosen[i];
    p.weights[t * p.top_k + i] = (p.normalise ? weights[i] / (sum + 1e-6f) : weights[i]) * p.scale;
  }
}

}  // namespace

void run_moe_route(const MoeRouteParams& p, Stream& stream) {
  if (p.rows == 0) return;
  gpu::launch(moe_route,
              {.grid = {static_cast<unsigned>(p.rows)}, .block = {gpu::kWave}, .overlaps = true},
              stream, p);
}

}  // namespace millrace::MILLRACE_GPU
