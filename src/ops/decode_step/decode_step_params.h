// A whole decode step, one new token for each of a few sequences, as one kernel: embedding, every
// layer, the head. Plain data that the host plans and the kernel walks; see decode_plan.h.
//
// A *phase* is a product whose input every multiprocessor needs whole, or attention. A product's
// output rows are cut into *units*, which are handed on as a whole, and a unit into *subs* of eight
// weight rows. A multiprocessor's units of a phase are neighbours.
#pragma once

#include <cstdint>

#include "ops/batch_view.h"

namespace millrace {

constexpr int kDecodeStepMostRows = 8;    // sequences: eight rows of a tensor core tile
constexpr int kDecodeStepMostSplits = 8;  // parts of a sequence's cache, in attention
constexpr int kDecodeSubRows = 8;
// Columns that eight waves take at once, 32 each; every K is a multiple.
constexpr int kDecodeStripColumns = 256;
constexpr int kDecodeStripBytes = kDecodeStripColumns * kDecodeSubRows * 2;
constexpr int kDecodeTileStrips = 4;
constexpr int kDecodeTileBytes = kDecodeTileStrips * kDecodeStripBytes;

enum class DecodePhaseKind : std::int32_t {
  Conv,       // in_proj, gates, convolution and its state: subs B, C, z of the same 8 channels
  Qkv,        // q, k, v as they come out of the product
  Attention,  // norm, rope, cache, softmax: parts of sequences
  Residual,   // out_proj or w2, added to the residual stream
  Swiglu,     // w1 and w3, rows alternating
  Head,       // logits
};
enum class DecodeSource : std::int32_t {
  Embedding,  // normed
  Residual,   // normed
  Packed,     // BF16 pairs
  Parts,      // of attention, to be put together
};

// One phase, as the kernel reads it.
struct DecodePhase {
  DecodePhaseKind kind;
  DecodeSource source;
  std::int32_t k;          // columns of the product
  std::int32_t subs;       // of a unit: 3 for Conv, else 1
  std::int32_t producers;  // multiprocessors that have units (Attention: counted on the device)
  // Words of a sequence's part of the exchange memory.
  std::int32_t in;
  std::int32_t out;
  std::int32_t cache_layer;  // among the Conv, or Attention, layers
  const std::byte* weights;  // packed, unit after unit
  const float* norm;         // [k] of the input, or q_norm (Attention)
  const float* k_norm;       // Attention
  const float* conv_kernel;  // [taps][hidden] (Conv)
};

// A unit's eight-row group `sub`, its row i: which row of which matrix?
struct DecodeRow {
  int matrix;  // of the phase's matrices: w1 0, w3 1
  std::int64_t row;
};
constexpr DecodeRow decode_row(DecodePhaseKind kind, std::int64_t hidden, std::int64_t unit,
                               int sub, int i) {
  if (kind == DecodePhaseKind::Conv) return {0, sub * hidden + unit * kDecodeSubRows + i};
  if (kind == DecodePhaseKind::Swiglu) return {i % 2, (unit * kDecodeSubRows + i) / 2};
  return {0, unit * kDecodeSubRows + i};
}

// Units of a phase, half open.
struct DecodeRange {
  std::int32_t first;
  std::int32_t last;
};

// What one launch needs. Pointers are into device memory.
struct DecodeStepParams {
  const DecodePhase* phases;  // [phase_count]
  const DecodeRange* ranges;  // [phase_count][processors]
  std::int32_t phase_count;
  std::int32_t processors;
  std::int32_t tiles;      // in the ring
  std::int32_t in_flight;  // tiles asked for that have not arrived, at most
  std::int32_t slack;      // producers that may be missing when readers begin to look
  std::int32_t part_buffers;

  std::int64_t hidden;
  std::int64_t ffn;
  std::int64_t vocab;
  std::int32_t heads;
  std::int32_t kv_heads;
  std::int32_t most_hidden_units;  // of one multiprocessor
  std::int32_t most_strips;        // of the widest row of input
  float epsilon;
  std::int32_t taps;

  float* conv_states;              // [conv layer][slot][ring][hidden]
  std::int64_t conv_layer_stride;  // floats
  std::int64_t ring;               // columns of a conv state
  std::byte* keys;                 // of the first attention layer; values alike
  std::byte* values;
  std::int64_t kv_layer_stride;  // bytes

  const void* embedding;  // BF16 [vocab][hidden]
  const std::int32_t* tokens;
  const std::int32_t* sampled;
  const float* cosines;  // [positions][32]
  const float* sines;
  BatchView batch;
  float* logits;
  std::int64_t logits_stride;

  // Exchange memory: two sets of [most rows][row_words], of which a step uses one and clears what
  // the last step used of the other. A word that nobody has written yet is kDecodeUnwritten.
  std::uint32_t* exchange;
  std::int64_t row_words;
  std::uint32_t* hints;  // two sets of [phase_count] counters, 64 bytes apart
  std::int32_t* state;   // steps so far, rows of the last one, blocks that have finished this one

  // Who waits in vain for longer than `patience` gives the step up: see decode_alarm(). No step
  // runs after that. The host reads its own copy.
  std::uint32_t* alarm;
  std::uint32_t* host_alarm;
  std::int64_t patience;  // nanoseconds
  std::int32_t jam;       // for tests: a phase that multiprocessor 0 does not hand on; -1: none

  // [processors][phase_count][kDecodeStamps], or null.
  std::int64_t* stamps;
};

// A launch: the step, and what the block needs. Compiled for 1, 2, 4 and 8 sequences; `rows` is the
// smallest of these that is enough.
struct DecodeStepLaunch {
  DecodeStepParams step;
  int rows;
  std::int64_t shared_bytes;
  bool fp8_cache = false;  // else BF16
};

// Brings one phase's matrices into the order in which they are read.
struct DecodePack {
  DecodePhaseKind kind;
  const void* matrices[2];  // BF16 [rows][k]; see decode_row()
  std::int64_t hidden;
  std::int64_t k;
  std::int64_t units;
  int subs;
  std::byte* packed;
};

// What an alarm says: the phase that a multiprocessor waited in. Never 0.
constexpr std::uint32_t decode_alarm(int phase, int processor) {
  return static_cast<std::uint32_t>(phase + 1) << 16 | static_cast<std::uint32_t>(processor);
}

constexpr std::uint32_t kDecodeUnwritten = 0xffffffffu;  // a NaN that no arithmetic yields
constexpr int kDecodeHintStride = 16;                    // words

// Clock stamps of one multiprocessor and phase.
enum DecodeStamp {
  kStampOpen,       // enough producers of the input have finished
  kStampLoaded,     // the first wave has its input
  kStampFirst,      // and its first tile
  kStampLast,       // and is through its last
  kStampPublished,  // all of this multiprocessor's output is on its way
  kStampAsked,      // the first tile was asked for
  kStampAskedLast,  // the last tile was asked for
  kStampRetries,    // not a clock: times that the first wave looked and found words missing
  kDecodeStamps
};

}  // namespace millrace
