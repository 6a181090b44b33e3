// Without allocation: k rounds of choosing the best of a few dozen experts.
#include <cmath>

#include "ops/moe_route/moe_route_kernels.h"

namespace millrace {
namespace {

constexpr int kMostExperts = 1024;

void run_route(const MoeRouteParams& p, Stream&) {
  const auto experts = static_cast<int>(p.logits.columns);
  float scores[kMostExperts];
  bool chosen[kMostExperts];
  for (std::int64_t t = 0; t < p.rows; ++t) {
    const float* logits = p.logits.row<float>(t);
    for (int e = 0; e < experts; ++e) {
      scores[e] = 1.0f / (1.0f + std::exp(-logits[e]));
      chosen[e] = false;
    }
    for (int j = 0; j < p.top_k; ++j) {
      int best = -1;
      float best_score = 0;
      for (int e = 0; e < experts; ++e) {
        const float score = scores[e] + (p.bias ? p.bias[e] : 0.0f);
        // NaN never compares greater; the first free expert stands in, and NaN shows in the
        // weights.
        if (!chosen[e] && (best < 0 || score > best_score)) {
          best = e;
          best_score = score;
        }
      }
      chosen[best] = true;
    }
    std::int32_t* out = p.experts + t * p.top_k;
    float* weights = p.weights + t * p.top_k;
    float total = 0;
    int count = 0;
    for (int e = 0; e < experts; ++e) {
      if (!chosen[e]) continue;
      out[count] = e;
      weights[count++] = scores[e];
      total += scores[e];
    }
    for (int j = 0; j < p.top_k; ++j)
      weights[j] = (p.normalise ? weights[j] / (total + 1e-6f) : weights[j]) * p.scale;
  }
}

std::string rejects(const MoeRoute::Key& key, const DeviceTraits&) {
  if (key.activation != DType::F32) return "CPU kernels compute with F32 activations";
  if (key.experts > kMostExperts) return fmt::format("more than {} experts", kMostExperts);
  return {};
}

}  // namespace

std::span<const KernelSpec<MoeRoute>> cpu_moe_route_kernels() {
  static constexpr KernelSpec<MoeRoute> kSpecs[] = {
      {"cpu", Backend::Cpu, Priority::Portable, rejects, run_route}};
  return kSpecs;
}

}  // namespace millrace
