// The matrix product of AMD's CDNA GPUs that kernels for them are built on, with an emulation of
// it.
//
// One wave computes c[16][16] += a[16][32] * b[16][32]^T in BF16 with float sums. With
// lane = 16g + r:
//   a holds eight neighbouring values of k of row r of a; b of row r of b; which eight is the
//   kernel's choice, the same for all rows: lane group g takes its own eight, the order of k within
//   a product is free
//   c[i] is c[4g + i][r]
// gfx950 does it in one instruction, gfx942 in two of half the depth.
#pragma once

#include "device/gpu/gpu.h"

namespace millrace::gpu {
inline namespace MILLRACE_GPU_WORDS {

#if defined(MILLRACE_GPU_EMULATED)

inline void mfma_16x16x32(float (&c)[4], const Bits16& a, const Bits16& b) {
  static thread_local Bits16 waves[1024 / kWave][2][kWave];
  const unsigned lane = threadIdx.x % kWave;
  auto& wave = waves[threadIdx.x / kWave];
  wave[0][lane] = a;
  wave[1][lane] = b;
  emulated::sync_wave();
  for (unsigned i = 0; i < 4; ++i) {
    float sum = c[i];
    for (unsigned g = 0; g < 4; ++g) {
      const Bits16& left = wave[0][16 * g + 4 * (lane / 16) + i];
      const Bits16& right = wave[1][16 * g + lane % 16];
      const std::uint32_t x[4] = {left.x, left.y, left.z, left.w};
      const std::uint32_t y[4] = {right.x, right.y, right.z, right.w};
      for (int pair = 0; pair < 4; ++pair) {
        // The product of two BF16 is exact: no fmaf() needed.
        sum += float_of_bits(x[pair] << 16) * float_of_bits(y[pair] << 16);
        sum += float_of_bits(x[pair] & 0xffff0000u) * float_of_bits(y[pair] & 0xffff0000u);
      }
    }
    c[i] = sum;
  }
  emulated::sync_wave();
}

#else

// Both operands are unused in what the host's half of the compilation sees.
inline __device__ void mfma_16x16x32(float (&c)[4], [[maybe_unused]] const Bits16& a,
                                     [[maybe_unused]] const Bits16& b) {
  using Sums = float __attribute__((ext_vector_type(4)));
  Sums sums = {c[0], c[1], c[2], c[3]};
#if defined(__gfx950__)
  using Eight = __bf16 __attribute__((ext_vector_type(8)));
  sums = __builtin_amdgcn_mfma_f32_16x16x32_bf16(__builtin_bit_cast(Eight, a),
                                                 __builtin_bit_cast(Eight, b), sums, 0, 0, 0);
#elif defined(__HIP_DEVICE_COMPILE__)
  using Four = short __attribute__((ext_vector_type(4)));
  struct Pair {
    Four low, high;
  };
  const auto x = __builtin_bit_cast(Pair, a);
  const auto y = __builtin_bit_cast(Pair, b);
  sums = __builtin_amdgcn_mfma_f32_16x16x16bf16_1k(x.low, y.low, sums, 0, 0, 0);
  sums = __builtin_amdgcn_mfma_f32_16x16x16bf16_1k(x.high, y.high, sums, 0, 0, 0);
#endif
  for (int i = 0; i < 4; ++i) c[i] = sums[i];
}

#endif

}  // namespace MILLRACE_GPU_WORDS
}  // namespace millrace::gpu
