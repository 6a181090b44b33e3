// How a block of a decode step begins and ends.
#pragma once

#include "ops/decode_step/decode_block.cuh"

namespace millrace::MILLRACE_GPU::decode {

// Fills in the block's view, once it is laid out; all threads. Returns the set of exchange memory
// that this step uses: 0 or 1.
inline __device__ int begin_block(const DecodeStepParams& p, Block& b, int threads) {
  const int thread = static_cast<int>(threadIdx.x);
  b.rows = static_cast<int>(p.batch.rows);
  b.splits = attention_splits(p, b.rows);
  if (thread == 0) {
    for (int i = 0; i < p.tiles; ++i) {
      init_barrier(&b.full[i], 1);
      init_barrier(&b.empty[i], kDecodeWaves);
    }
    for (int i = 0; i < p.part_buffers; ++i) {
      init_barrier(&b.part_full[i], kDecodeWaves);
      init_barrier(&b.part_empty[i], 1);
    }
    *b.opened = 0;
    *b.stuck = 0;
    *b.finished = 0;
    publish_barriers();
  }
  const int set = p.state[0] % 2;
  b.exchange = p.exchange + set * kDecodeStepMostRows * p.row_words;
  b.hints = p.hints + set * p.phase_count * kDecodeHintStride;
  for (int i = thread; i < p.phase_count; i += threads)
    b.stops[i] = {p.phases[i], p.ranges[i * p.processors + static_cast<int>(blockIdx.x)]};
  __syncthreads();
  return set;
}

// `rows` of the set have been written, for the next step to clear.
inline __device__ void end_block(const DecodeStepParams& p, int set, int rows) {
  __syncthreads();
  // The last block to come here: nobody reads this step's state any more.
  if (threadIdx.x == 0 && gpu::add_atomic(&p.state[2], 1) == p.processors - 1) {
    p.state[0] = 1 - set;
    p.state[1] = rows;
    p.state[2] = 0;
  }
}

// One wave: the counters and words that the last step used, of the other set.
inline __device__ void clear_other_set(const DecodeStepParams& p, int other, int last_rows) {
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const std::int64_t words = last_rows * p.row_words;
  auto* to = reinterpret_cast<Words4*>(p.exchange + other * kDecodeStepMostRows * p.row_words);
  const std::int64_t step = std::int64_t{p.processors} * kLanes;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kLanes + lane; i < words / 4;
       i += step)
    to[i] = {kDecodeUnwritten, kDecodeUnwritten, kDecodeUnwritten, kDecodeUnwritten};
  if (blockIdx.x != gridDim.x - 1) return;
  for (int i = lane; i < p.phase_count; i += kLanes)
    p.hints[(other * p.phase_count + i) * kDecodeHintStride] = 0;
}

}  // namespace millrace::MILLRACE_GPU::decode
