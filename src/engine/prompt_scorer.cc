#include "engine/prompt_scorer.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "engine/sampler.h"
#include "engine/token_logprobs.h"

namespace millrace {
namespace {

constexpr std::int32_t kDamaged = 0;  // a rank that there is not

}  // namespace

PromptScorer::PromptScorer(std::span<const TokenId> prompt, int best_each) : prompt_(prompt) {
  result_->best_each = best_each;
}

void PromptScorer::prepare() {
  const auto count = static_cast<std::size_t>(rows());
  result_->tokens.resize(count);
  result_->best.resize(count * static_cast<std::size_t>(result_->best_each));
}

void PromptScorer::judge(std::int64_t position, std::span<const float> logits) {
  if (position < scored_ || position >= rows()) return;
  const auto at = static_cast<std::size_t>(position);
  PromptLogprobs::Scored& token = result_->tokens[at];
  const double normaliser = log_sum_exp(logits);
  if (std::isnan(normaliser)) {
    token.rank = kDamaged;
    return;
  }
  const TokenId next = prompt_[at + 1];
  token.logprob = static_cast<float>(logits[static_cast<std::size_t>(next)] - normaliser);
  token.rank = rank_of(logits, next);
  const auto each = static_cast<std::size_t>(result_->best_each);
  find_best(logits, normaliser, std::span(result_->best).subspan(at * each, each));
}

Status PromptScorer::advance(std::int64_t end) {
  for (; scored_ < std::min(end, rows()); ++scored_)
    if (result_->tokens[static_cast<std::size_t>(scored_)].rank == kDamaged)
      return fail(ErrorCode::Corrupt, "{}", damaged_weights(scored_));
  return {};
}

}  // namespace millrace
