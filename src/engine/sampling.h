// How the next token is chosen. Part of the public API.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "text/token.h"

namespace millrace {

// Applied in this order, each skipped at its default: logit bias; masks of constraints; repetition,
// presence and frequency penalties; temperature (0: greedy, nothing below applies); min-p; top-k;
// top-p.
struct SamplingParams {
  double temperature = 0;
  int top_k = 0;                  // 0: all
  double top_p = 1;               // smallest set whose probability reaches it
  double min_p = 0;               // at least this share of the best token's probability
  double repetition_penalty = 1;  // over prompt and answer; divides positive logits
  double presence_penalty = 0;    // over the answer; subtracted once
  double frequency_penalty = 0;   // over the answer; subtracted per occurrence
  std::vector<std::pair<TokenId, float>> logit_bias;
  // Same seed, prompt and parameters: same tokens, whatever else shares the steps. Without one,
  // a seed is drawn.
  std::optional<std::uint64_t> seed;
  int logprobs = -1;  // -1: none; n: of the chosen token and the n best
};

struct TokenLogprob {
  TokenId token;
  float logprob;  // natural, of the model's own distribution: before bias, penalties, temperature
};

// One generated token.
struct SampledToken {
  TokenId token = 0;
  float logprob = 0;               // valid when logprobs were asked for
  std::vector<TokenLogprob> best;  // descending; empty unless asked for
};

}  // namespace millrace
