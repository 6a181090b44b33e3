// The arithmetic of sample_params.h for one row on the host.
#pragma once

#include <cstdint>
#include <span>

#include "ops/sample/sample_params.h"

namespace millrace {

struct SampleCandidate {
  float logit;
  std::int32_t token;
};

// Rules out the tokens whose bits are not set. NaN stays, so that damaged weights show.
void apply_mask(std::span<float> logits, const std::uint32_t* mask);

// Changes the logits of tokens that the history [vocab] knows.
void apply_penalties(std::span<float> logits, const SampleRow& row, const std::uint16_t* history);

// 64 random bits from (seed, position) alone.
std::uint64_t sample_random_bits(std::uint64_t seed, std::int64_t position);

// What a logit weighs beside the best one, in units of 1 / kSampleOne.
std::uint32_t sample_weight(float logit, float best, float inverse_temperature);

// Orders floats as integers.
std::uint32_t sample_order(float x);

// The row's token from penalised logits, none of which is NaN. Infinite ones are allowed.
// `scratch` has room for as many candidates as there are logits.
std::int32_t choose_token(std::span<const float> logits, const SampleRow& row,
                          SampleCandidate* scratch);

// Counts a chosen token.
void note_token(std::uint16_t* history, std::int32_t token);

}  // namespace millrace
