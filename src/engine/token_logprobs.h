// Log probabilities from a row of logits [vocab], the same for a prompt's tokens and an answer's.
#pragma once

#include <cstdint>
#include <span>

#include "engine/sampling.h"

namespace millrace {

// log of the sum of exp(logit), to a few units of the last place of a float. NaN if a logit is.
double log_sum_exp(std::span<const float> logits);

// Of logits that hold no NaN. 1 for the best; of equals the one with the smaller id comes first.
std::int32_t rank_of(std::span<const float> logits, TokenId token);

// The best in that order, with their log probabilities; at most as many as there are.
void find_best(std::span<const float> logits, double normaliser, std::span<TokenLogprob> out);

}  // namespace millrace
