#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "engine/token_logprobs.h"

namespace millrace {
namespace {

Status check_range(std::string_view name, double value, double low, double high) {
  if (value >= low && value <= high) return {};
  return fail(ErrorCode::InvalidArgument, "{}: found {}, expected a number from {} to {}", name,
              value, low, high);
}

}  // namespace

Status check_sampling(const SamplingParams& params, std::int64_t vocab) {
  const Status checks[] = {
      check_range("temperature", params.temperature, 0, 100),
      check_range("top_k", params.top_k, 0, std::numeric_limits<int>::max()),
      check_range("top_p", params.top_p, 1e-9, 1),
      check_range("min_p", params.min_p, 0, 1),
      check_range("repetition_penalty", params.repetition_penalty, 1e-3, 1e3),
      check_range("presence_penalty", params.presence_penalty, -100, 100),
      check_range("frequency_penalty", params.frequency_penalty, -100, 100),
      check_range("logprobs", params.logprobs, -1,
                  static_cast<double>(std::min<std::int64_t>(vocab, 1000))),
  };
  for (const Status& status : checks)
    if (!status) return status;
  for (const auto& [token, bias] : params.logit_bias) {
    if (token < 0 || token >= vocab)
      return fail(ErrorCode::InvalidArgument, "logit_bias: found token {}, expected 0 to {}", token,
                  vocab - 1);
    if (!std::isfinite(bias))
      return fail(ErrorCode::InvalidArgument, "logit_bias: found {} for token {}", bias, token);
  }
  return {};
}

SampleRow sample_row_of(const SamplingParams& params, std::uint64_t seed) {
  SampleRow row;
  row.seed = params.seed.value_or(seed);
  if (params.temperature > 0)
    row.inverse_temperature = static_cast<float>(std::min(1 / params.temperature, 1e30));
  // p >= min_p * p_best, that is logit >= best + temperature * log(min_p).
  row.min_p_distance = params.min_p > 0
                           ? static_cast<float>(-params.temperature * std::log(params.min_p))
                           : std::numeric_limits<float>::infinity();
  row.top_p = params.top_p;
  row.top_k = params.top_k;
  row.repetition = static_cast<float>(params.repetition_penalty);
  row.presence = static_cast<float>(params.presence_penalty);
  row.frequency = static_cast<float>(params.frequency_penalty);
  row.uses_history = params.repetition_penalty != 1 || params.presence_penalty != 0 ||
                     params.frequency_penalty != 0;
  return row;
}

bool samples_on_host(const SamplingParams& params) {
  return params.logprobs >= 0 || !params.logit_bias.empty();
}

std::string damaged_weights(std::int64_t position) {
  return fmt::format("the model gave NaN at position {}: its weights are damaged", position);
}

Sampler::Sampler(const SamplingParams& params, std::int64_t vocab, std::uint64_t seed, bool masked)
    : params_(params), row_(sample_row_of(params, seed)) {
  const auto size = static_cast<std::size_t>(vocab);
  if (row_.uses_history) history_.resize(size);
  keeps_original_ =
      params.logprobs >= 0 && (row_.uses_history || masked || !params.logit_bias.empty());
  if (keeps_original_) original_.reserve(size);
  if (params.temperature > 0) scratch_.resize(size);
}

void Sampler::observe_prompt(std::span<const TokenId> prompt) {
  if (history_.empty()) return;
  for (const TokenId token : prompt) history_[static_cast<std::size_t>(token)] |= kHistoryInPrompt;
}

Result<SampledToken> Sampler::sample(std::span<float> logits, std::int64_t position,
                                     std::span<const std::uint32_t> mask) {
  if (std::any_of(logits.begin(), logits.end(), [](float x) { return x != x; }))
    return fail(ErrorCode::Corrupt, "{}", damaged_weights(position));
  SampledToken result;
  double normaliser = 0;
  if (params_.logprobs >= 0) {
    normaliser = log_sum_exp(logits);
    result.best.resize(std::min(static_cast<std::size_t>(params_.logprobs), logits.size()));
    find_best(logits, normaliser, result.best);
  }
  // Logprobs are the model's own, so what bias and penalties are about to change is kept.
  if (keeps_original_) original_.assign(logits.begin(), logits.end());

  for (const auto& [token, bias] : params_.logit_bias)
    logits[static_cast<std::size_t>(token)] += bias;
  if (!mask.empty()) apply_mask(logits, mask.data());
  if (row_.uses_history) apply_penalties(logits, row_, history_.data());
  row_.position = position;
  result.token = choose_token(logits, row_, scratch_.data());
  if (params_.logprobs >= 0) {
    const auto chosen = static_cast<std::size_t>(result.token);
    const float logit = keeps_original_ ? original_[chosen] : logits[chosen];
    result.logprob = static_cast<float>(logit - normaliser);
  }
  if (row_.uses_history) note_token(history_.data(), result.token);
  return result;
}

}  // namespace millrace
