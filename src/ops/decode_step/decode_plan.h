// How a decode step is laid out over a GPU's multiprocessors, as plain data: the phases, who
// computes which units, where outputs meet, where packed weights lie. Made once at load.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ops/decode_step/decode_step_params.h"

namespace millrace {

// The sizes of a dense model that matter here.
struct DecodeShape {
  std::int64_t hidden = 0;
  std::int64_t ffn = 0;
  std::int64_t vocab = 0;
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  int taps = 0;
  std::vector<bool> attends;  // by layer: attention, or convolution
};

struct PlannedPhase {
  DecodePhaseKind kind;
  DecodeSource source;
  int layer;       // of the model; -1 for the head
  std::int64_t k;  // 0 for Attention
  std::int64_t units;
  int subs = 1;
  bool is_ffn = false;  // of the layer's feed-forward half
  std::int64_t in = 0;  // words in a sequence's part of the exchange memory
  std::int64_t out = 0;
  std::int64_t weights = 0;         // first byte in the packed weights
  std::vector<DecodeRange> ranges;  // by multiprocessor

  std::int64_t unit_bytes() const { return subs * k * kDecodeSubRows * 2; }
  std::int64_t bytes() const { return units * unit_bytes(); }
  int most_units() const;  // of one multiprocessor
  int producers() const;   // multiprocessors that have units
};

struct DecodePlan {
  int processors = 0;
  std::vector<PlannedPhase> phases;
  std::int64_t row_words = 0;     // of exchange memory, for one sequence in one set
  std::int64_t weight_bytes = 0;  // packed
  std::int64_t most_hidden_units = 0;
  int most_strips = 0;  // of the widest row of input
};

// Why no plan can be made for that shape; empty if one can.
std::string decode_shape_problem(const DecodeShape& shape);

// Up to which context a step of so many sequences is faster than one op by op: the kernel's
// attention is the slower one. `kv_heads` are those of all layers.
std::int64_t decode_step_most_context(std::int64_t rows, std::int64_t weight_bytes,
                                      std::int64_t kv_heads);

// The shape must have no problem.
DecodePlan plan_decode_step(const DecodeShape& shape, int processors);

// Shared memory of one block.
struct DecodeSharedLayout {
  int tiles = 0;  // in the ring; fewer than kDecodeFewestTiles: does not fit
  int part_buffers = 0;
  std::int64_t bytes = 0;
};
constexpr int kDecodeFewestTiles = 3;
DecodeSharedLayout decode_shared_layout(const DecodePlan& plan, int rows,
                                        std::int64_t shared_bytes);

}  // namespace millrace
