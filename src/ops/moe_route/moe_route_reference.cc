// The oracle: plain loops, sums in double.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "ops/moe_route/moe_route_kernels.h"

namespace millrace {
namespace {

void run_reference(const MoeRouteParams& params, Stream&) {
  const MoeRouteParams& p = params;
  const auto experts = static_cast<int>(p.logits.columns);
  std::vector<float> scores(static_cast<std::size_t>(experts));
  std::vector<std::int32_t> order(static_cast<std::size_t>(experts));
  for (std::int64_t t = 0; t < p.rows; ++t) {
    const float* logits = p.logits.row<float>(t);
    for (int e = 0; e < experts; ++e)
      scores[static_cast<std::size_t>(e)] =
          static_cast<float>(1.0 / (1.0 + std::exp(-double{logits[e]})));
    const auto biased = [&](std::int32_t e) {
      return scores[static_cast<std::size_t>(e)] + (p.bias ? p.bias[e] : 0.0f);
    };
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::int32_t a, std::int32_t b) { return biased(a) > biased(b); });
    std::sort(order.begin(), order.begin() + p.top_k);
    double sum = 0;
    for (int j = 0; j < p.top_k; ++j)
      sum += scores[static_cast<std::size_t>(order[static_cast<std::size_t>(j)])];
    for (int j = 0; j < p.top_k; ++j) {
      const std::int32_t e = order[static_cast<std::size_t>(j)];
      double weight = scores[static_cast<std::size_t>(e)];
      if (p.normalise) weight /= sum + 1e-6;
      p.experts[t * p.top_k + j] = e;
      p.weights[t * p.top_k + j] = static_cast<float>(weight * double{p.scale});
    }
  }
}

std::string rejects(const MoeRoute::Key& key, const DeviceTraits&) {
  return key.activation != DType::F32 ? "the reference computes with F32 activations" : "";
}

}  // namespace

std::span<const KernelSpec<MoeRoute>> reference_moe_route_kernels() {
  static constexpr KernelSpec<MoeRoute> kSpecs[] = {
      {"reference", Backend::Cpu, Priority::Reference, rejects, run_reference}};
  return kSpecs;
}

}  // namespace millrace
