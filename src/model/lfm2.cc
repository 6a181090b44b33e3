// The forward pass. Comments name the step of spec section 4 that a line is.
#include "model/lfm2.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"

namespace millrace {
namespace {

// out = (residual +) weight * in (+ bias), with the kernel chosen for this matrix.
void multiply(const MatrixWeight& matrix, const MatrixView& in, const MatrixView& residual,
              const MatrixView& out, std::int64_t rows, Stream& stream) {
  if (matrix.packed_kernel)
    return matrix.packed_kernel->launch({.in = in,
                                         .weight = matrix.packed,
                                         .bias = matrix.bias,
                                         .residual = residual,
                                         .out = out,
                                         .rows = rows},
                                        stream);
  matrix.kernel->launch({.in = in,
                         .weight = matrix.weight,
                         .bias = matrix.bias,
                         .residual = residual,
                         .out = out,
                         .rows = rows},
                        stream);
}

}  // namespace

bool Lfm2::bring(std::span<const BringInputsParams::Piece> pieces, Stream& stream) const {
  if (bring_inputs_ == nullptr) return false;
  constexpr std::size_t kMost = BringInputsParams::kMostPieces;
  for (; !pieces.empty(); pieces = pieces.subspan(std::min(kMost, pieces.size()))) {
    BringInputsParams params;
    for (const BringInputsParams::Piece& piece : pieces.first(std::min(kMost, pieces.size())))
      params.pieces[params.count++] = piece;
    bring_inputs_->launch(params, stream);
  }
  return true;
}

void Lfm2::forward(const StepInput& input, Workspace& workspace, const CacheStorage& cache,
                   Stream& stream, ForwardObserver* observer) const {
  check(input.batch.rows <= workspace.max_rows() && input.logit_count <= workspace.max_logit_rows(),
        "a step is larger than its workspace");
  if (observer == nullptr && runs_whole(input)) {
    decode_steps_->launch(input, workspace, cache, stream);
  } else {
    const Ends ends = blocks(input, workspace, cache, stream, observer);
    if (input.logit_count > 0) head(ends, input.logit_count, workspace, stream, observer);
    if (input.states) states(input, workspace, stream);
  }
  if (input.samples) choose(input, workspace, stream);
}

void Lfm2::choose(const StepInput& input, Workspace& workspace, Stream& stream) const {
  if (input.logit_count == 0) return;
  check(sample_ != nullptr, "a step is to choose tokens that the device cannot");
  sample_->launch({.logits = workspace.logits,
                   .samples = input.samples,
                   .masks = input.masks,
                   .history = input.history,
                   .sampled = input.sampled,
                   .results = input.results,
                   .workspace = workspace.sample_memory,
                   .rows = input.logit_count},
                  stream);
}

Lfm2::Ends Lfm2::blocks(const StepInput& input, Workspace& workspace, const CacheStorage& cache,
                        Stream& stream, ForwardObserver* observer) const {
  const std::int64_t hidden = config_.hidden;
  const auto epsilon = static_cast<float>(config_.norm_epsilon);
  const MatrixView u = workspace.normed;
  std::int64_t rows = 0;
  MatrixView x;
  // Fused ops see the residual stream, not its norm, and leave no values to observe between.
  bool few = false;
  bool batch = false;
  bool begun = false;  // is the norm of x, for whom it is next?
  const auto go_on_with = [&](const MatrixView& residual, std::int64_t count) {
    x = residual;
    rows = count;
    few = observer == nullptr && rows <= NormLinear::kFewRows;
    batch = observer == nullptr && !few && rows <= NormLinear::kBatchRows && batch_.down;
  };
  go_on_with(workspace.residual, input.batch.rows);

  const auto norm = [&](const float* weight) {
    rms_norm_->launch(
        {.in = x, .gather = nullptr, .weight = weight, .out = u, .rows = rows, .epsilon = epsilon},
        stream);
  };
  // 4.2 on the way into a product of a batch
  const auto norm_multiply = [&](const KernelSpec<NormLinear>& kernel, const MatrixWeight& matrix,
                                 const float* norm_weight, const MatrixView& out) {
    kernel.launch({.in = x,
                   .gather = nullptr,
                   .norm_weight = norm_weight,
                   .epsilon = epsilon,
                   .weight = matrix.weight,
                   .out = out,
                   .rows = rows,
                   .scratch = workspace.norm_scratch(),
                   .begun = begun},
                  stream);
  };
  // x += weight * in; begins the norm of what comes next if that can use it.
  const auto add = [&](const MatrixWeight& matrix, const KernelSpec<LinearNorm>* kernel,
                       const MatrixView& in, const float* next_norm) {
    begun = batch && next_norm != nullptr;
    if (!begun) return multiply(matrix, in, x, x, rows, stream);
    kernel->launch({.in = in,
                    .weight = matrix.weight,
                    .out = x,
                    .rows = rows,
                    .norm_weight = next_norm,
                    .scratch = workspace.norm_scratch()},
                   stream);
  };
  const auto observe = [&](std::string_view stage, int layer) {
    if (observer) observer->on_stage(stage, layer, x, rows);
  };

  // 4.3 before out_proj: C * conv(B * z)
  const auto short_conv = [&](const ConvWeights& conv, int conv_layer, const float* norm_weight) {
    const MatrixView gates = workspace.wide.columns_from(0, 3 * hidden);
    const MatrixView mixed = workspace.mixed.columns_from(0, hidden);
    if (few && fused_.short_conv && input.batch.max_count == 1) {
      fused_.short_conv->launch({.in = x,
                                 .norm_weight = norm_weight,
                                 .epsilon = epsilon,
                                 .in_proj = conv.in_proj.weight,
                                 .in_bias = conv.in_proj.bias,
                                 .kernel = conv.kernel,
                                 .bias = conv.bias,
                                 .taps = config_.taps,
                                 .state = cache.conv(conv_layer),
                                 .out = mixed,
                                 .batch = input.batch},
                                stream);
      return mixed;
    }
    if (batch) {
      norm_multiply(*batch_.in_proj, conv.in_proj, norm_weight, gates);
    } else {
      norm(norm_weight);
      multiply(conv.in_proj, u, {}, gates, rows, stream);
    }
    short_conv_->launch({.gates = gates,
                         .kernel = conv.kernel,
                         .bias = conv.bias,
                         .taps = config_.taps,
                         .state = cache.conv(conv_layer),
                         .out = mixed,
                         .batch = input.batch},
                        stream);
    return mixed;
  };

  // 4.4 before out_proj: attention(rope(norm(q)), rope(norm(k)), v)
  const auto attention = [&](const AttentionWeights& weights, int attention_layer, int window,
                             const float* norm_weight) {
    const std::int64_t q_width = std::int64_t{config_.heads} * config_.head_dim;
    const std::int64_t kv_width = std::int64_t{config_.kv_heads} * config_.head_dim;
    const MatrixView q = workspace.wide.columns_from(0, q_width);
    const MatrixView k = workspace.wide.columns_from(q_width, kv_width);
    const MatrixView v = workspace.wide.columns_from(q_width + kv_width, kv_width);
    const MatrixView mixed = workspace.mixed.columns_from(0, q_width);
    const KvView kv = cache.kv(attention_layer);
    const MatrixView qkv = workspace.wide.columns_from(0, q_width + 2 * kv_width);
    if (few && fused_.qkv) {
      fused_.qkv->launch({.in = x,
                          .gather = nullptr,
                          .norm_weight = norm_weight,
                          .epsilon = epsilon,
                          .weight = weights.qkv.weight,
                          .out = qkv,
                          .rows = rows},
                         stream);
    } else if (batch) {
      norm_multiply(*batch_.qkv, weights.qkv, norm_weight, qkv);
    } else {
      norm(norm_weight);
      if (weights.qkv.weight) {
        multiply(weights.qkv, u, {}, qkv, rows, stream);
      } else {
        multiply(weights.q, u, {}, q, rows, stream);
        multiply(weights.k, u, {}, k, rows, stream);
        multiply(weights.v, u, {}, v, rows, stream);
      }
    }
    rope_kv_->launch({.q = q,
                      .k = k,
                      .v = v,
                      .q_norm = weights.q_norm,
                      .k_norm = weights.k_norm,
                      .epsilon = epsilon,
                      .cosines = cosines_,
                      .sines = sines_,
                      .cache = kv,
                      .batch = input.batch,
                      .heads = config_.heads},
                     stream);
    attention_->launch({.q = q,
                        .cache = kv,
                        .out = mixed,
                        .batch = input.batch,
                        .heads = config_.heads,
                        .window = window,
                        .scale = 1.0f / std::sqrt(static_cast<float>(config_.head_dim)),
                        .workspace = workspace.attention_memory},
                       stream);
    return mixed;
  };

  // Nobody sees the last layer's other rows: only those that give logits go on.
  const bool narrows = observer == nullptr && !input.states && input.logit_count < rows;
  const auto narrow = [&](const MatrixView& mixed) {
    MatrixView kept = workspace.last_mixed;
    kept.columns = mixed.columns;
    for (const auto& [from, to] : {std::pair{x, workspace.last_residual}, {mixed, kept}})
      gather_rows_->launch(
          {.in = from, .rows = input.logit_rows, .out = to, .count = input.logit_count}, stream);
    go_on_with(workspace.last_residual, input.logit_count);
    return kept;
  };

  // 4.5: x += w2(silu(w1 u) * w3 u)
  const auto mlp = [&](const MlpWeights& weights, const float* norm_weight,
                       const float* next_norm) {
    const std::int64_t width = config_.ffn_width;
    const MatrixView gate = workspace.wide.columns_from(0, width);
    const MatrixView up = workspace.wide.columns_from(width, width);
    const KernelSpec<NormSwiglu>* swiglu = few ? fused_.swiglu : nullptr;
    if (!few && observer == nullptr && rows <= NormSwiglu::kBatchRows) swiglu = fused_.batch_swiglu;
    if (swiglu) {
      swiglu->launch({.in = x,
                      .norm_weight = norm_weight,
                      .epsilon = epsilon,
                      .w1 = weights.w1.weight,
                      .w3 = weights.w3.weight,
                      .out = gate,
                      .rows = rows,
                      .scratch = workspace.norm_scratch(),
                      .begun = begun},
                     stream);
      return add(weights.w2, batch_.down, gate, next_norm);
    }
    norm(norm_weight);
    if (weights.w13.weight) {
      multiply(weights.w13, u, {}, workspace.wide.columns_from(0, 2 * width), rows, stream);
    } else {
      multiply(weights.w1, u, {}, gate, rows, stream);
      multiply(weights.w3, u, {}, up, rows, stream);
    }
    silu_mul_->launch({.gate = gate, .up = up, .out = gate, .rows = rows}, stream);
    multiply(weights.w2, gate, x, x, rows, stream);
  };

  // 6: the same through the chosen experts
  const auto moe = [&](const MoeWeights& weights, int layer, const float* norm_weight) {
    norm(norm_weight);
    multiply(weights.router, u, {}, workspace.router, rows, stream);
    moe_route_->launch({.logits = workspace.router,
                        .bias = weights.bias,
                        .experts = workspace.chosen,
                        .weights = workspace.chosen_weights,
                        .rows = rows,
                        .top_k = config_.moe->top_k,
                        .normalise = config_.moe->normalise,
                        .scale = static_cast<float>(config_.moe->scale)},
                       stream);
    if (observer) observer->on_experts(layer, workspace.chosen, workspace.chosen_weights, rows);
    const auto launch = [&](const auto& kernel, const auto& experts) {
      kernel.launch({.in = u,
                     .experts = experts.data(),
                     .expert_count = config_.moe->experts,
                     .chosen = workspace.chosen,
                     .weights = workspace.chosen_weights,
                     .top_k = config_.moe->top_k,
                     .out = x,
                     .rows = rows,
                     .width = config_.moe->width,
                     .workspace = workspace.expert_memory},
                    stream);
    };
    if (weights.packed_kernel)
      launch(*weights.packed_kernel, weights.packed);
    else
      launch(*weights.kernel, weights.experts);
  };

  // 4.1
  embedding_->launch({.table = weights_.embedding,
                      .tokens = input.tokens,
                      .out = x,
                      .rows = rows,
                      .sampled = input.sampled},
                     stream);
  observe("embed", 0);
  int conv_layer = 0;
  int attention_layer = 0;
  for (std::size_t i = 0; i < weights_.layers.size(); ++i) {
    const LayerWeights& layer = weights_.layers[i];
    const int index = static_cast<int>(i);
    const bool last = i + 1 == weights_.layers.size();
    const float* inner_norm = layer.moe ? nullptr : layer.ffn_norm;
    MatrixView mixed = layer.conv ? short_conv(*layer.conv, conv_layer++, layer.operator_norm)
                                  : attention(*layer.attention, attention_layer++,
                                              config_.layers[i].window, layer.operator_norm);
    if (last && narrows) {
      mixed = narrow(mixed);
      if (rows == 0) break;
    }
    if (layer.conv)
      add(layer.conv->out_proj, batch_.conv_out, mixed, inner_norm);
    else
      add(layer.attention->out, batch_.attention_out, mixed, inner_norm);
    observe("mixer", index);
    if (layer.moe)
      moe(*layer.moe, index, layer.ffn_norm);
    else
      mlp(*layer.mlp, layer.ffn_norm, last ? nullptr : weights_.layers[i + 1].operator_norm);
    observe("ffn", index);
  }
  return {x, narrows ? nullptr : input.logit_rows};
}

// 4.2: logits = head(norm(x)) of the rows that want them
void Lfm2::head(const Ends& ends, std::int64_t count, Workspace& workspace, Stream& stream,
                ForwardObserver* observer) const {
  const auto epsilon = static_cast<float>(config_.norm_epsilon);
  if (!observer && count <= NormLinear::kFewRows && fused_.head) {
    fused_.head->launch({.in = ends.residual,
                         .gather = ends.rows,
                         .norm_weight = weights_.final_norm,
                         .epsilon = epsilon,
                         .weight = weights_.head.weight,
                         .out = workspace.logits,
                         .rows = count},
                        stream);
    return;
  }
  rms_norm_->launch({.in = ends.residual,
                     .gather = ends.rows,
                     .weight = weights_.final_norm,
                     .out = workspace.normed,
                     .rows = count,
                     .epsilon = epsilon},
                    stream);
  if (observer) observer->on_stage("final_norm", 0, workspace.normed, count);
  multiply(weights_.head, workspace.normed, {}, workspace.logits, count, stream);
}

// Behind the head, which uses the same memory.
void Lfm2::states(const StepInput& input, Workspace& workspace, Stream& stream) const {
  rms_norm_->launch({.in = workspace.residual,
                     .gather = nullptr,
                     .weight = weights_.final_norm,
                     .out = workspace.normed,
                     .rows = input.batch.rows,
                     .epsilon = static_cast<float>(config_.norm_epsilon)},
                    stream);
}

}  // namespace millrace
