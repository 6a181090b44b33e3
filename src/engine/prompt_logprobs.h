// How likely the model holds the tokens of a prompt to be. Part of the public API.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/sampling.h"

namespace millrace {

struct PromptLogprobs {
  struct Scored {
    float logprob;      // natural, of the model's own distribution, after all tokens before it
    std::int32_t rank;  // 1: the likeliest; of equals the one with the smaller id comes first
  };
  std::vector<Scored> tokens;  // of the prompt from its second on: nothing stands before the first
  std::vector<TokenLogprob> best;  // `best_each` for each of them, descending
  int best_each = 0;

  std::span<const TokenLogprob> best_of(std::size_t index) const {
    const auto each = static_cast<std::size_t>(best_each);
    return std::span(best).subspan(index * each, each);
  }
};

}  // namespace millrace
