#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"

namespace millrace {
namespace {

// A number in [0, 1) from (seed, position) alone, so that draws do not depend on who else is
// served. SplitMix64 finaliser (Steele, Lea, Flood 2014), applied twice.
double uniform(std::uint64_t seed, std::int64_t position) {
  const auto mix = [](std::uint64_t z) {
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  };
  return static_cast<double>(mix(mix(seed) ^ static_cast<std::uint64_t>(position)) >> 11) * 0x1p-53;
}

// log of the sum of exp, over finite logits.
double log_sum_exp(std::span<const float> logits, float best) {
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - best);
  return best + std::log(sum);
}

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

Sampler::Sampler(const SamplingParams& params, std::int64_t vocab, std::uint64_t seed)
    : params_(params),
      seed_(params.seed.value_or(seed)),
      uses_history_(params.repetition_penalty != 1 || params.presence_penalty != 0 ||
                    params.frequency_penalty != 0) {
  if (uses_history_) {
    in_prompt_.resize(static_cast<std::size_t>(vocab));
    answer_counts_.resize(static_cast<std::size_t>(vocab));
  }
  keeps_original_ = params.logprobs >= 0 && (uses_history_ || !params.logit_bias.empty());
  if (keeps_original_) original_.reserve(static_cast<std::size_t>(vocab));
  if (params.temperature > 0 || params.logprobs > 0)
    candidates_.reserve(static_cast<std::size_t>(vocab));
}

void Sampler::observe_prompt(std::span<const TokenId> prompt) {
  if (!uses_history_) return;
  for (const TokenId token : prompt) in_prompt_[static_cast<std::size_t>(token)] = 1;
}

Result<SampledToken> Sampler::sample(std::span<float> logits, std::int64_t position) {
  if (std::any_of(logits.begin(), logits.end(), [](float x) { return x != x; }))
    return fail(ErrorCode::Corrupt, "the model gave NaN at position {}: its weights are damaged",
                position);
  SampledToken result;
  double normaliser = 0;
  if (params_.logprobs >= 0) {
    normaliser = log_sum_exp(logits, *std::max_element(logits.begin(), logits.end()));
    candidates_.clear();
    if (params_.logprobs > 0) {
      for (std::size_t i = 0; i < logits.size(); ++i)
        candidates_.push_back({logits[i], static_cast<TokenId>(i)});
      const auto count = std::min(static_cast<std::size_t>(params_.logprobs), logits.size());
      const auto middle = candidates_.begin() + static_cast<std::ptrdiff_t>(count);
      std::partial_sort(candidates_.begin(), middle, candidates_.end(),
                        [](const Candidate& a, const Candidate& b) {
                          return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
                        });
      for (auto it = candidates_.begin(); it != middle; ++it)
        result.best.push_back({it->token, static_cast<float>(it->logit - normaliser)});
    }
  }
  // Logprobs are the model's own, so what bias and penalties are about to change is kept.
  if (keeps_original_) original_.assign(logits.begin(), logits.end());

  for (const auto& [token, bias] : params_.logit_bias)
    logits[static_cast<std::size_t>(token)] += bias;
  if (uses_history_) apply_penalties(logits);
  result.token =
      params_.temperature > 0
          ? draw(logits, position)
          : static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
  if (params_.logprobs >= 0) {
    const auto chosen = static_cast<std::size_t>(result.token);
    const float logit = keeps_original_ ? original_[chosen] : logits[chosen];
    result.logprob = static_cast<float>(logit - normaliser);
  }
  if (uses_history_) ++answer_counts_[static_cast<std::size_t>(result.token)];
  return result;
}

void Sampler::apply_penalties(std::span<float> logits) const {
  const auto repetition = static_cast<float>(params_.repetition_penalty);
  const auto presence = static_cast<float>(params_.presence_penalty);
  const auto frequency = static_cast<float>(params_.frequency_penalty);
  for (std::size_t i = 0; i < logits.size(); ++i) {
    const std::uint32_t count = answer_counts_[i];
    if (count == 0 && in_prompt_[i] == 0) continue;
    float& logit = logits[i];
    logit = logit > 0 ? logit / repetition : logit * repetition;
    if (count > 0) logit -= presence + frequency * static_cast<float>(count);
  }
}

TokenId Sampler::draw(std::span<const float> logits, std::int64_t position) {
  const float best = *std::max_element(logits.begin(), logits.end());
  const double temperature = params_.temperature;
  // min-p: p >= min_p * p_best, that is logit/T >= best/T + log(min_p).
  const double floor = params_.min_p > 0 ? best + temperature * std::log(params_.min_p)
                                         : -std::numeric_limits<double>::infinity();
  candidates_.clear();
  for (std::size_t i = 0; i < logits.size(); ++i)
    if (logits[i] >= floor) candidates_.push_back({logits[i], static_cast<TokenId>(i)});
  const auto better = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
  };
  if (params_.top_k > 0 && static_cast<std::size_t>(params_.top_k) < candidates_.size()) {
    std::nth_element(candidates_.begin(), candidates_.begin() + params_.top_k - 1,
                     candidates_.end(), better);
    candidates_.resize(static_cast<std::size_t>(params_.top_k));
  }
  const auto weight = [&](const Candidate& c) {
    return std::exp((static_cast<double>(c.logit) - best) / temperature);
  };
  double total = 0;
  for (const Candidate& c : candidates_) total += weight(c);
  if (params_.top_p < 1) {
    // The wanted prefix of the sorted order is short as a rule: sort 64, 256, ... until it is in.
    std::size_t sorted = 0;
    double reached = 0;
    std::size_t kept = 0;
    while (kept < candidates_.size() && reached < params_.top_p * total) {
      if (kept == sorted) {
        sorted = std::min(candidates_.size(), std::max<std::size_t>(64, sorted * 4));
        std::partial_sort(candidates_.begin() + static_cast<std::ptrdiff_t>(kept),
                          candidates_.begin() + static_cast<std::ptrdiff_t>(sorted),
                          candidates_.end(), better);
      }
      reached += weight(candidates_[kept++]);
    }
    candidates_.resize(kept);
    total = reached;
  } else if (params_.top_k > 0) {
    // nth_element leaves an unspecified order; a draw must depend on the distribution alone.
    std::sort(candidates_.begin(), candidates_.end(), better);
  }
  double target = uniform(seed_, position) * total;
  for (const Candidate& c : candidates_) {
    target -= weight(c);
    if (target < 0) return c.token;
  }
  return candidates_.back().token;
}

}  // namespace millrace
