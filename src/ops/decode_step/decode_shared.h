// Sizes in a block's shared memory, as host and kernel both count them.
#pragma once

#include "ops/decode_step/decode_step_params.h"

namespace millrace {

constexpr int kDecodeWaves = 8;  // that multiply
constexpr int kDecodeMostTiles = 16;
constexpr int kDecodeMostParts = 8;
constexpr int kDecodeHeadDim = 64;
constexpr int kDecodeMostGroup = 4;  // query heads of a KV head
constexpr int kDecodeBlockTokens = 16;

// A phase as it waits in shared memory, beside this multiprocessor's units of it.
struct DecodeStop {
  DecodePhase phase;
  DecodeRange units;
};

// Strips that make up a tile: as many as divide a row evenly.
constexpr int decode_tile_strips(int strips) {
  return strips % 4 == 0 ? 4 : strips % 3 == 0 ? 3 : 1;
}

// Rows of input lie 64 bytes further on than their length, so that two of them meet other banks.
constexpr std::int64_t decode_row_bytes(int strips) {
  return std::int64_t{strips} * kDecodeStripColumns * 2 + 64;
}
// Attention's scratch lies where rows of input lie in other phases.
constexpr std::int64_t kDecodeAttentionBytes =
    4 * (kDecodeMostGroup * kDecodeHeadDim                   // queries
         + kDecodeHeadDim                                    // new key and value, BF16
         + kDecodeWaves * kDecodeMostGroup * kDecodeHeadDim  // sums of each wave
         + 2 * kDecodeWaves * kDecodeMostGroup);             // maxima and weights
constexpr std::int64_t decode_input_bytes(int strips, int rows) {
  const std::int64_t bytes = decode_row_bytes(strips) * rows;
  return bytes > kDecodeAttentionBytes ? bytes : kDecodeAttentionBytes;
}
constexpr std::int64_t decode_part_bytes(int rows) {
  return std::int64_t{kDecodeWaves} * rows * kDecodeSubRows * 4;
}
// All but the ring and the partial sums.
constexpr std::int64_t decode_fixed_bytes(int most_strips, int rows, std::int64_t phases,
                                          std::int64_t most_hidden_units) {
  return decode_input_bytes(most_strips, rows) + phases * std::int64_t{sizeof(DecodeStop)} +
         most_hidden_units * kDecodeSubRows * rows * 4        // residual
         + 2 * kDecodeWaves * kDecodeStepMostRows * 4         // squares
         + (2 * kDecodeMostTiles + 2 * kDecodeMostParts) * 8  // mbarriers
         + 128;
}

}  // namespace millrace
