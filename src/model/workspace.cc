#include "model/workspace.h"

#include <algorithm>

#include "ops/attention/attention_params.h"
#include "ops/moe_experts/moe_experts.h"
#include "ops/sample/sample_params.h"

namespace millrace {
namespace {

// Sizes first, pointers after: the same plan counts bytes and lays them out.
struct Plan {
  std::int64_t widest, mixed;
  std::size_t residual, normed, squares, wide, mixed_at, logits, last_residual, last_mixed,
      attention, sample, router, chosen, weights, experts, total;
};

Plan plan_for(const ModelConfig& config, DType activation, std::int64_t rows,
              std::int64_t logit_rows) {
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
  plan.normed = place(bytes_of(activation, rows * config.hidden));
  plan.squares = place(floats(rows * norm_squares(config.hidden)));
  plan.wide = place(bytes_of(activation, rows * plan.widest));
  plan.mixed_at = place(bytes_of(activation, rows * plan.mixed));
  plan.logits = place(floats(logit_rows * config.vocab));
  plan.last_residual = place(floats(logit_rows * config.hidden));
  plan.last_mixed = place(bytes_of(activation, logit_rows * plan.mixed));
  plan.attention = place(attention_workspace_bytes());
  plan.sample = place(sample_workspace_bytes(logit_rows, config.vocab));
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

DType activation_dtype(const Device& device, const ModelConfig& config) {
  return device.uses_host_memory() || config.dtype == DType::F32 ? DType::F32 : DType::BF16;
}

std::int64_t Workspace::bytes_for(const ModelConfig& config, DType activation,
                                  std::int64_t max_rows, std::int64_t max_logit_rows) {
  return static_cast<std::int64_t>(plan_for(config, activation, max_rows, max_logit_rows).total);
}

Workspace::Workspace(Device& device, const ModelConfig& config, std::int64_t max_rows,
                     std::int64_t max_logit_rows)
    : max_rows_(max_rows), max_logit_rows_(max_logit_rows) {
  const DType activation = activation_dtype(device, config);
  const Plan plan = plan_for(config, activation, max_rows, max_logit_rows);
  memory_ = device.allocate(plan.total);
  std::byte* base = memory_.as<std::byte>();
  const auto matrix = [&](std::size_t at, std::int64_t columns, DType dtype = DType::F32) {
    return MatrixView{base + at, columns, columns, dtype};
  };
  residual = matrix(plan.residual, config.hidden);
  normed = matrix(plan.normed, config.hidden, activation);
  squares = reinterpret_cast<float*>(base + plan.squares);
  wide = matrix(plan.wide, plan.widest, activation);
  mixed = matrix(plan.mixed_at, plan.mixed, activation);
  logits = matrix(plan.logits, config.vocab);
  last_residual = matrix(plan.last_residual, config.hidden);
  last_mixed = matrix(plan.last_mixed, plan.mixed, activation);
  attention_memory = base + plan.attention;
  sample_memory = base + plan.sample;
  if (config.moe) {
    router = matrix(plan.router, config.moe->experts);
    chosen = reinterpret_cast<std::int32_t*>(base + plan.chosen);
    chosen_weights = reinterpret_cast<float*>(base + plan.weights);
    expert_memory = base + plan.experts;
  }
}

}  // namespace millrace
