#include <algorithm>
#include <cmath>
#include <numeric>

#include "ops/moe_experts/moe_experts.h"
#include "ops/op_cases.h"

namespace millrace {
namespace {

struct Dims {
  int experts, top_k;
  std::int64_t hidden, width, rows;
};

OpCase experts_case(DType gate_up, DType down, const Dims& d, bool full_size) {
  OpCase c;
  c.op = MoeExperts::kName;
  c.type = to_string(gate_up);
  c.name = fmt::format("{}/{} experts {} top {} hidden {} width {} rows {}", c.type,
                       to_string(down), d.experts, d.top_k, d.hidden, d.width, d.rows);
  c.full_size = full_size;
  const double touched = std::min<double>(d.experts, static_cast<double>(d.rows * d.top_k));
  const std::int64_t elements = d.hidden * d.width;
  c.bytes =
      touched * static_cast<double>(2 * bytes_of(gate_up, elements) + bytes_of(down, elements));
  c.flops = 6.0 * static_cast<double>(elements * d.rows * d.top_k);
  // Two products in a row, the inner one's error passed through W2 (see linear).
  c.absolute = 1e-6f * std::sqrt(static_cast<float>(std::max(d.hidden, d.width))) + 2e-6f;
  c.relative = 4e-6f;
  c.make = [=] {
    auto instance = std::make_unique<TypedInstance<MoeExperts>>();
    instance->key = {gate_up, down, DType::F32, d.hidden, d.width};
    MoeExpertsParams& p = instance->params;
    p.in = instance->matrix(d.rows, d.hidden, 1);
    std::vector<ExpertView> experts;
    const auto matrix = [&](DType dtype, std::int64_t n, std::int64_t k) {
      return TensorView{
          instance->random_values(dtype, n * k, 1.0 / std::sqrt(static_cast<double>(k))),
          dtype,
          {n, k}};
    };
    for (int e = 0; e < d.experts; ++e)
      experts.push_back({matrix(gate_up, d.width, d.hidden), matrix(gate_up, d.width, d.hidden),
                         matrix(down, d.hidden, d.width)});
    p.experts = instance->copy_of(experts);
    p.expert_count = d.experts;
    // Different experts for each row, ascending; some experts get nobody.
    std::vector<std::int32_t> chosen;
    std::vector<std::int32_t> all(static_cast<std::size_t>(d.experts));
    std::iota(all.begin(), all.end(), 0);
    for (std::int64_t t = 0; t < d.rows; ++t) {
      std::shuffle(all.begin(), all.end(), instance->random());
      std::sort(all.begin(), all.begin() + d.top_k);
      chosen.insert(chosen.end(), all.begin(), all.begin() + d.top_k);
    }
    p.chosen = instance->copy_of(chosen);
    p.weights = instance->floats(d.rows * d.top_k, 0.2, 0.3);
    p.top_k = d.top_k;
    p.out = instance->matrix(d.rows, d.hidden, 1);
    p.rows = d.rows;
    p.width = d.width;
    const std::size_t bytes =
        moe_experts_workspace_bytes(d.rows, d.top_k, d.experts, d.hidden, d.width);
    p.workspace = instance->floats(static_cast<std::int64_t>(bytes / 4 + 1), 0);
    instance->writes(p.out, d.rows, true);
    return instance;
  };
  return c;
}

}  // namespace

std::vector<OpCase> moe_experts_cases() {
  std::vector<OpCase> cases;
  for (const DType dtype : {DType::F32, DType::BF16, DType::F16, DType::Q8_0, DType::Q4_0})
    for (const std::int64_t rows : {1, 2, 7, 40})
      cases.push_back(experts_case(dtype, dtype, {8, 3, 64, 96, rows}, false));
  cases.push_back(experts_case(DType::Q4_K, DType::Q6_K, {6, 2, 256, 256, 5}, false));
  cases.push_back(experts_case(DType::BF16, DType::BF16, {1, 1, 32, 40, 3}, false));
  for (const DType dtype : {DType::BF16, DType::Q4_0}) {
    cases.push_back(experts_case(dtype, dtype, {32, 4, 2048, 1792, 1}, true));  // 8B-A1B
    cases.push_back(experts_case(dtype, dtype, {32, 4, 2048, 1792, 8}, true));
  }
  return cases;
}

}  // namespace millrace
