// Chooses tokens for one request from its logits, on the host.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "engine/sampling.h"

namespace millrace {

// Bad values: an error naming the parameter, found and expected.
Status check_sampling(const SamplingParams& params, std::int64_t vocab);

// Holds one request's history and scratch. Nothing is allocated after construction but the
// logprobs that are handed out.
class Sampler {
 public:
  // `seed` is used when the parameters bring none.
  Sampler(const SamplingParams& params, std::int64_t vocab, std::uint64_t seed);

  // The prompt counts for the repetition penalty.
  void observe_prompt(std::span<const TokenId> prompt);

  // The token at `position` (its index in the sequence) from logits [vocab], which are changed.
  // Fails when the logits hold NaN: then the weights are damaged, and any choice would be a lie.
  Result<SampledToken> sample(std::span<float> logits, std::int64_t position);

 private:
  void apply_penalties(std::span<float> logits) const;
  TokenId draw(std::span<const float> logits, std::int64_t position);

  struct Candidate {
    float logit;
    TokenId token;
  };

  SamplingParams params_;
  std::uint64_t seed_;
  bool uses_history_;
  std::vector<std::uint8_t> in_prompt_;       // [vocab], only with penalties
  std::vector<std::uint32_t> answer_counts_;  // [vocab], only with penalties
  std::vector<Candidate> candidates_;         // scratch, [vocab] of capacity unless greedy
  bool keeps_original_ = false;
  std::vector<float> original_;  // scratch, [vocab] where bias or penalties apply
};

}  // namespace millrace
