// Sizes in a block's shared memory, as host and kernel both count them.
#pragma once

#include "ops/decode_step/decode_step_params.h"

namespace millrace {

constexpr int kDecodeWaves = 8;  // that multiply
constexpr int kDecodeEpilogueWaves = 1;
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

// Strips that make up a tile: as many as divide a row evenly, and leave a tile at least to each of
// the multiprocessors that share it.
constexpr int decode_tile_strips(int strips, int split) {
  for (int tile = kDecodeTileStrips; tile > 1; --tile)
    if (strips % tile == 0 && strips / tile >= split) return tile;
  return 1;
}
// First tile of a row that is `rank`'s, of `split` that share it.
constexpr int decode_first_tile(int tiles, int split, int rank) {
  return tiles * rank / split;
}
constexpr int decode_most_strips(int strips, int split) {
  const int tile = decode_tile_strips(strips, split);
  return (strips / tile + split - 1) / split * tile;
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
// What comes from one other block of the cluster for one sub of a unit: as a lane of the epilogue
// holds it.
constexpr std::int64_t decode_near_bytes(int rows) {
  return std::int64_t{rows} * kDecodeSubRows * 4;
}
// Of two phases in turn: sums of units, and sums of squares.
constexpr std::int64_t decode_all_near_bytes(int slots, int rows, int cluster) {
  return cluster == 1 ? 0
                      : 2 * (cluster - 1) *
                            (slots * decode_near_bytes(rows) +
                             kDecodeEpilogueWaves * 8 * kDecodeStepMostRows);
}
// All but the ring and the partial sums.
constexpr std::int64_t decode_fixed_bytes(int most_strips, int rows, std::int64_t phases,
                                          std::int64_t most_hidden_units, int near_slots,
                                          int cluster) {
  return decode_input_bytes(most_strips, rows) + phases * std::int64_t{sizeof(DecodeStop)} +
         most_hidden_units * kDecodeSubRows * rows * 4  // residual
         + 2 * kDecodeWaves * kDecodeStepMostRows * 4   // squares
         + decode_all_near_bytes(near_slots, rows, cluster) +
         (2 * kDecodeMostTiles + 2 * kDecodeMostParts) * 8  // mbarriers
         + 128;
}

}  // namespace millrace
