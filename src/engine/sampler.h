// How a request's tokens are chosen: on the device inside the step, or from logits on the host
// where somebody wants to see or change them there.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "engine/sampling.h"
#include "ops/sample/sample_row.h"

namespace millrace {

// Bad values: an error naming the parameter, found and expected.
Status check_sampling(const SamplingParams& params, std::int64_t vocab);

// What a step needs to know to choose for such a request; slot, position and result are the
// step's to fill in. `seed` is used when the parameters bring none.
SampleRow sample_row_of(const SamplingParams& params, std::uint64_t seed);

// Logprobs and bias are computed on the host.
bool samples_on_host(const SamplingParams& params);

// What is said of logits that hold a NaN: any choice would be a lie.
std::string damaged_weights(std::int64_t position);

// Holds one request's history and scratch. Nothing is allocated after construction but the
// logprobs that are handed out.
class Sampler {
 public:
  // `seed` is used when the parameters bring none. Whether masks may be given is said before.
  Sampler(const SamplingParams& params, std::int64_t vocab, std::uint64_t seed,
          bool masked = false);

  // The prompt counts for the repetition penalty.
  void observe_prompt(std::span<const TokenId> prompt);

  // The token at `position` (its index in the sequence) from logits [vocab], which are changed.
  // Fails when the logits hold NaN. With a mask, tokens whose bits are not set are ruled out.
  Result<SampledToken> sample(std::span<float> logits, std::int64_t position,
                              std::span<const std::uint32_t> mask = {});

 private:
  SamplingParams params_;
  SampleRow row_;
  std::vector<std::uint16_t> history_;    // [vocab], only with penalties
  std::vector<SampleCandidate> scratch_;  // [vocab], only where tokens are drawn
  bool keeps_original_ = false;
  std::vector<float> original_;  // scratch, [vocab] where bias or penalties apply
};

}  // namespace millrace
