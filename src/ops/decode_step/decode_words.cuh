// The words that the decode step is written in beside gpu.h's: bulk copies, mbarriers, words that
// other multiprocessors write. For NVIDIA from sm_90 on, and emulated.
//
//   init_barrier, expect_bytes, arrive, has_turned   mbarriers in shared memory
//   copy_bulk(to, from, bytes, barrier)              into shared memory; arrives at the barrier
//   load_word(s), store_word(s), count_up            relaxed, device scope
//   sync_multipliers()                               the waves that multiply
//   look_again()                                     inside loops that wait for others
//   nanoseconds(), ticks()                           clocks
#pragma once

#include "device/gpu/gpu.h"
#include "ops/decode_step/decode_shared.h"

#if defined(MILLRACE_GPU_EMULATED)
#include "ops/decode_step/decode_words_emulated.cuh"
#else
#include "ops/decode_step/decode_words_cuda.cuh"
#endif

namespace millrace::MILLRACE_GPU::decode {

using gpu::bits_of_float;
using gpu::exp2_fast;
using gpu::float_of_bits;
using gpu::shuffle;
using gpu::shuffle_xor;
using gpu::sync_wave;

constexpr int kLanes = gpu::kWave;

inline __device__ bool is_missing(const Words4& v) {
  return v.x == kDecodeUnwritten || v.y == kDecodeUnwritten || v.z == kDecodeUnwritten ||
         v.w == kDecodeUnwritten;
}

inline __device__ float low_half(std::uint32_t pair) {
  return float_of_bits(pair << 16);
}
inline __device__ float high_half(std::uint32_t pair) {
  return float_of_bits(pair & 0xffff0000u);
}
inline __device__ std::uint32_t pack_pair(float low, float high) {
  return gpu::pack_bf16(low, high);
}
inline __device__ float rounded(float x) {
  return low_half(pack_pair(x, 0.0f));
}
// The halves with odd, or even, index of two words.
inline __device__ std::uint32_t pick_halves(std::uint32_t a, std::uint32_t b, bool odd) {
  return odd ? a >> 16 | (b & 0xffff0000u) : (a & 0xffffu) | b << 16;
}

inline __device__ float wave_sum(float x) {
  for (int d = kLanes / 2; d; d /= 2) x += shuffle_xor(x, d);
  return x;
}

}  // namespace millrace::MILLRACE_GPU::decode
