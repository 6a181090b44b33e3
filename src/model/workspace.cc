#include "model/workspace.h"

#include <algorithm>

#include "ops/moe_experts/moe_experts.h"

namespace millrace {
namespace {

// Sizes first, pointers after: the same plan counts bytes and lays them out.
struct Plan {
  std::int64_t widest, mixed;
  std::size_t residual, normed, wide, mixed_at, logits, router, chosen, weights, experts, total;
};

Plan plan_for(const ModelConfig& config, std::int64_t rows, std::int64_t logit_rows) {
  Plan plan = {};
  const std::int64_t q_width = std::int64_t{config.heads} * config.head_dim;
  const std::int64_t kv_width = std::int64_t{config.kv_heads} * config.head_dim;
  plan.widest = std::max({3 * config.hidden, q_width + 2 * kv_width, 2 * config.ffn_width});
  plan.mixed = std::max(config.hidden, q_width);
  std::size_t at = 0;
  const auto place = [&](std::int64_t bytes) {
    const std::size_t here = at;
    at += (static_cast<std::size_t>(bytes) + 255) / 256 * 256;
    return here;
  };
  const auto floats = [](std::int64_t count) { return bytes_of(DType::F32, count); };
  plan.residual = place(floats(rows * config.hidden));
  plan.normed = place(floats(rows * config.hidden));
  plan.wide = place(floats(rows * plan.widest));
  plan.mixed_at = place(floats(rows * plan.mixed));
  plan.logits = place(floats(logit_rows * config.vocab));
  if (config.moe) {
    const MoeConfig& moe = *config.moe;
    plan.router = place(floats(rows * moe.experts));
    plan.chosen = place(bytes_of(DType::I32, rows * moe.top_k));
    plan.weights = place(floats(rows * moe.top_k));
    plan.experts = place(static_cast<std::int64_t>(
        moe_experts_workspace_bytes(rows, moe.top_k, moe.experts, config.hidden, moe.width)));
  }
  plan.total = at;
  return plan;
}

}  // namespace

std::int64_t Workspace::bytes_for(const ModelConfig& config, std::int64_t max_rows,
                                  std::int64_t max_logit_rows) {
  return static_cast<std::int64_t>(plan_for(config, max_rows, max_logit_rows).total);
}

Workspace::Workspace(Device& device, const ModelConfig& config, std::int64_t max_rows,
                     std::int64_t max_logit_rows)
    : max_rows_(max_rows), max_logit_rows_(max_logit_rows) {
  const Plan plan = plan_for(config, max_rows, max_logit_rows);
  memory_ = device.allocate(plan.total);
  std::byte* base = memory_.as<std::byte>();
  const auto matrix = [&](std::size_t at, std::int64_t columns) {
    return MatrixView{base + at, columns, columns, DType::F32};
  };
  residual = matrix(plan.residual, config.hidden);
  normed = matrix(plan.normed, config.hidden);
  wide = matrix(plan.wide, plan.widest);
  mixed = matrix(plan.mixed_at, plan.mixed);
  logits = matrix(plan.logits, config.vocab);
  if (config.moe) {
    router = matrix(plan.router, config.moe->experts);
    chosen = reinterpret_cast<std::int32_t*>(base + plan.chosen);
    chosen_weights = reinterpret_cast<float*>(base + plan.weights);
    expert_memory = base + plan.experts;
  }
}

}  // namespace millrace
