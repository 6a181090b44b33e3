// What the waves of one block share in a decode step: where things lie in shared memory, the ring
// of weights, the division of attention's work.
#pragma once

#include "ops/decode_step/decode_words.cuh"

namespace millrace::MILLRACE_GPU::decode {

// One block's view of a step; every wave has its own copy.
struct Block {
  std::byte* ring;
  std::byte* input;  // rows of BF16, or attention's scratch
  float* parts;      // [part buffer][wave][row][8]
  float* residual;   // [own hidden unit][row][8]
  float* squares;    // [2][wave][kDecodeStepMostRows], by parity of the phase
  DecodeStop* stops;
  std::uint64_t* full;   // tile has arrived
  std::uint64_t* empty;  // all waves are through with it
  std::uint64_t* part_full;
  std::uint64_t* part_empty;
  volatile int* opened;     // phases up to this one may look for their inputs
  volatile int* stuck;      // the step is given up: nobody waits any more
  volatile int* finished;   // the epilogue has handed on all that it has
  std::uint32_t* exchange;  // this step's set
  std::uint32_t* hints;
  int rows;
  int splits;

  __device__ std::uint32_t* hint(int phase) const { return hints + phase * kDecodeHintStride; }
};

template <int kRows>
__device__ Block lay_out(const DecodeStepParams& p, std::byte* memory) {
  Block b = {};
  const auto take = [&](std::int64_t bytes) {
    std::byte* at = memory;
    memory += bytes;
    return at;
  };
  b.ring = take(std::int64_t{p.tiles} * kDecodeTileBytes);
  b.input = take(decode_input_bytes(p.most_strips, kRows));
  b.parts = reinterpret_cast<float*>(take(p.part_buffers * decode_part_bytes(kRows)));
  b.residual = reinterpret_cast<float*>(
      take(std::int64_t{p.most_hidden_units} * kDecodeSubRows * kRows * 4));
  b.squares = reinterpret_cast<float*>(take(2 * kDecodeWaves * kDecodeStepMostRows * 4));
  b.full = reinterpret_cast<std::uint64_t*>(take(8 * kDecodeMostTiles));
  b.empty = reinterpret_cast<std::uint64_t*>(take(8 * kDecodeMostTiles));
  b.part_full = reinterpret_cast<std::uint64_t*>(take(8 * kDecodeMostParts));
  b.part_empty = reinterpret_cast<std::uint64_t*>(take(8 * kDecodeMostParts));
  b.opened = reinterpret_cast<volatile int*>(take(64));
  b.stuck = b.opened + 1;
  b.finished = b.opened + 2;
  b.stops = reinterpret_cast<DecodeStop*>(take(p.phase_count * std::int64_t{sizeof(DecodeStop)}));
  return b;
}

// A place in a ring of barriers, and the parity that its present round completes with.
struct Turn {
  int at = 0;
  std::uint32_t parity = 0;
  __device__ void advance(int count) {
    if (++at == count) {
      at = 0;
      parity ^= 1;
    }
  }
};

inline __device__ void stamp(const DecodeStepParams& p, int phase, DecodeStamp which,
                             std::int64_t value) {
  if (p.stamps)
    p.stamps[(static_cast<std::int64_t>(blockIdx.x) * p.phase_count + phase) * kDecodeStamps +
             which] = value;
}

// Between two looks for what others have to bring. False when the step is given up: then everybody
// goes on as if it had come, without waiting again, to the end of the kernel. Who watches over the
// phases decides (decode_step_persistent.cu).
inline __device__ bool keep_looking(const Block& b) {
  look_again();
  return *b.stuck == 0;
}

// False when the step is given up.
inline __device__ bool wait_for(const Block& b, std::uint64_t* barrier, std::uint32_t parity) {
  while (!has_turned(barrier, parity))
    if (!keep_looking(b)) return false;
  return true;
}

inline __device__ void await_input(const Block& b, int phase) {
  while (*b.opened < phase)
    if (!keep_looking(b)) break;
  sync_wave();
}

inline __device__ std::int32_t token_of(const DecodeStepParams& p, int row) {
  const std::int32_t token = p.tokens[row];
  return token < 0 ? p.sampled[-1 - token] : token;
}

// Attention's work: (sequence, KV head, part of the cache), dealt to blocks in turn.
struct AttentionItem {
  int row, kv_head, split;
  std::int64_t first_block, last_block;  // of the cache, half open
};
inline __device__ int attention_items(const DecodeStepParams& p, const Block& b) {
  return b.rows * p.kv_heads * b.splits;
}
// So many parts that most multiprocessors have one, but none shorter than 8 cache blocks: every
// part is read again by all multiprocessors.
inline __device__ int attention_splits(const DecodeStepParams& p, int rows) {
  std::int64_t longest = 0;
  for (int row = 0; row < rows; ++row) {
    const std::int64_t position = p.batch.spans[row].position;
    longest = position > longest ? position : longest;
  }
  const std::int64_t worth = longest / (8 * kDecodeBlockTokens) + 1;
  std::int64_t splits = p.processors / (p.kv_heads * rows);
  splits = splits < worth ? splits : worth;
  return static_cast<int>(splits < 1                       ? 1
                          : splits > kDecodeStepMostSplits ? kDecodeStepMostSplits
                                                           : splits);
}
inline __device__ AttentionItem attention_item(const DecodeStepParams& p, const Block& b,
                                               int index) {
  AttentionItem item;
  item.split = index % b.splits;
  item.kv_head = index / b.splits % p.kv_heads;
  item.row = index / b.splits / p.kv_heads;
  const std::int64_t blocks = p.batch.spans[item.row].position / kDecodeBlockTokens + 1;
  item.first_block = blocks * item.split / b.splits;
  item.last_block = blocks * (item.split + 1) / b.splits;
  return item;
}
inline __device__ int producers_of(const DecodeStepParams& p, const Block& b, int phase) {
  const DecodePhase& ph = b.stops[phase].phase;
  if (ph.kind != DecodePhaseKind::Attention) return ph.producers;
  const int items = attention_items(p, b);
  return items < p.processors ? items : p.processors;
}
// Words of a sequence's attention output: [split][head][64] sums, then [split][head] log2 weights.
inline __device__ int part_words(const DecodeStepParams& p) {
  return p.heads * kDecodeHeadDim;
}

}  // namespace millrace::MILLRACE_GPU::decode
