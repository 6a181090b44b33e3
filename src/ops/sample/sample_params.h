// Chooses one token a row of logits. Bias has been added before; then, in this order, each skipped
// at its neutral value: the mask, penalties over the row's history, temperature, min-p, top-k,
// top-p.
//
// A kept token's weight is exp((logit - best) / temperature) as an integer of kSampleOne = 1 for
// the best token. Sums of integers are the same in any order, so that a draw depends on the logits,
// the seed and the position alone, not on how a kernel divides the row. Tokens whose weight rounds
// to 0, less than 2^-31 of the best one's, are never drawn.
//
// The draw: target = floor(random * total) over the kept tokens in ascending order of their ids.
#pragma once

#include <cstdint>

#include "ops/matrix_view.h"

namespace millrace {

constexpr std::uint32_t kSampleOne = (1u << 30) - 1;
// Tokens of a vocabulary at most: sums of halves of weights must fit 32 bits.
constexpr std::int64_t kSampleMostTokens = 1 << 17;

// What a history holds for a token: how often the answer has it, and whether the prompt does.
constexpr std::uint16_t kHistoryInPrompt = 0x8000;
constexpr std::uint16_t kHistoryMostTimes = 0x7fff;

struct SampleRow {
  std::uint64_t seed = 0;
  std::int64_t position = 0;      // of the token that is chosen, in its sequence
  double top_p = 1;               // smallest set of the best whose weight reaches this share
  float inverse_temperature = 0;  // 0: greedy, the first of the best; other limits are not used
  float min_p_distance = 0;       // kept are logits >= best - this; infinity: all
  std::int32_t top_k = 0;         // 0: all; of equals the lower ids
  float repetition = 1;           // divides positive logits, multiplies others, of tokens seen
  float presence = 0;             // subtracted if the answer has the token
  float frequency = 0;            // subtracted for each time it does
  std::int32_t uses_history = 0;  // else penalties are neutral and the history is not touched
  std::int32_t slot = -1;         // of the sequence; negative: nothing is chosen for this row
  std::int32_t result = 0;        // place in SampleParams::results
  std::int32_t kept = 1;          // 0: not for the next step, SampleParams::sampled stays as it is
  std::int32_t mask = -1;         // row of SampleParams::masks; negative: all tokens may be chosen
};

// 32-bit words of a mask, a bit for each token, set where it may be chosen.
constexpr std::int64_t sample_mask_words(std::int64_t vocab) {
  return (vocab + 31) / 32;
}

struct SampleParams {
  MatrixView logits;         // [rows, vocab] F32; masks (minus infinity) and penalties go in place
  const SampleRow* samples;  // [rows]
  const std::uint32_t* masks;  // [rows of masks][sample_mask_words(vocab)]; NaN stays where it is
  std::uint16_t* history;      // [slots][vocab]; the chosen token is counted
  std::int32_t* sampled;       // by slot: the token, for the step after this one
  // By SampleRow::result: the token, or -1 if the row holds a NaN. May be pinned memory of the
  // host.
  std::int32_t* results;
  void* workspace;  // sample_workspace_bytes(rows, vocab)
  std::int64_t rows;
};

constexpr std::int64_t kSampleChunk = 4096;  // tokens that one block of a GPU looks through first

// The best of each chunk on a GPU, the candidates of one row on a CPU.
constexpr std::int64_t sample_workspace_bytes(std::int64_t rows, std::int64_t vocab) {
  const std::int64_t chunks = rows * (kSampleMostTokens / kSampleChunk);
  return 8 * (chunks > vocab ? chunks : vocab);
}

}  // namespace millrace
