// The smallest matrix product of NVIDIA's tensor cores, with an emulation of it. Kernels that use
// it are not compiled for AMD, whose matrix instructions have other shapes and layouts.
//
// One wave computes c[16][8] += a[16][16] * b[16][8] in BF16, or in F16, with float sums. With lane
// = 4g + t:
//   a[0] holds a[g][2t], a[g][2t+1] (low half first); a[1] row g+8; a[2] and a[3] columns 8 on
//   b[0] holds b[2t][g], b[2t+1][g]; b[1] rows 8 on
//   c[0], c[1] are c[g][2t], c[g][2t+1]; c[2], c[3] row g+8
//
//   pack_f16(low, high)   two floats as F16 in 32 bits
//   fit_f16(x)            cut off at the largest F16
//   fp8_to_f16(bytes)     four of OCP's E4M3, exactly
#pragma once

#include "device/gpu/gpu.h"
#include "tensor/fp8.h"
#include "tensor/half.h"

namespace millrace::gpu {
inline namespace MILLRACE_GPU_WORDS {

// Comparisons, so that a NaN passes.
inline __device__ float fit_f16(float x) {
  return x > 65504.0f ? 65504.0f : x < -65504.0f ? -65504.0f : x;
}

// Four numbers of 16 bits, the first in the low half of `x`.
struct Halves4 {
  std::uint32_t x, y;
};

#if defined(MILLRACE_GPU_EMULATED)

inline std::uint32_t pack_f16(float low, float high) {
  return to_f16(low).bits | std::uint32_t{to_f16(high).bits} << 16;
}
inline Halves4 fp8_to_f16(std::uint32_t bytes) {
  const auto at = [bytes](int i) {
    return fp8_to_float(static_cast<std::uint8_t>(bytes >> 8 * i & 0xffu), Fp8::Ocp);
  };
  return {pack_f16(at(0), at(1)), pack_f16(at(2), at(3))};
}

// `widen_into` takes a word apart.
template <typename Widen>
void emulated_mma_16x8x16(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2],
                          const Widen& widen_into) {
  struct Fragments {
    std::uint32_t a[4], b[2];
  };
  static_assert(sizeof(Fragments) * kWave <= emulated::kWaveMemory);
  const unsigned lane = threadIdx.x % kWave;
  auto* wave = static_cast<Fragments*>(emulated::wave_memory());
  for (int i = 0; i < 4; ++i) wave[lane].a[i] = a[i];
  for (int i = 0; i < 2; ++i) wave[lane].b[i] = b[i];
  emulated::sync_wave();
  for (unsigned half = 0; half < 2; ++half) {
    float row[16];  // of a
    std::uint32_t any = 0;
    for (unsigned pair = 0; pair < 8; ++pair) {
      const std::uint32_t bits = wave[lane / 4 * 4 + pair % 4].a[half + pair / 4 * 2];
      any |= bits;
      widen_into(row + 2 * pair, bits);
    }
    if (any == 0) continue;  // rows that are not there
    for (unsigned i = 0; i < 2; ++i) {
      const unsigned column = lane % 4 * 2 + i;
      float sum = c[2 * half + i];
      for (unsigned pair = 0; pair < 8; ++pair) {
        float right[2];
        widen_into(right, wave[column * 4 + pair % 4].b[pair / 4]);
        // The product of two BF16, or F16, is exact: no fmaf() needed.
        sum += row[2 * pair] * right[0];
        sum += row[2 * pair + 1] * right[1];
      }
      c[2 * half + i] = sum;
    }
  }
  emulated::sync_wave();
}

inline void mma_16x8x16(float (&c)[4], const std::uint32_t (&a)[4], const std::uint32_t (&b)[2]) {
  emulated_mma_16x8x16(c, a, b, [](float* to, std::uint32_t pair) {
    to[0] = float_of_bits(pair << 16);
    to[1] = float_of_bits(pair & 0xffff0000u);
  });
}
inline void mma_16x8x16_f16(float (&c)[4], const std::uint32_t (&a)[4],
                            const std::uint32_t (&b)[2]) {
  emulated_mma_16x8x16(c, a, b, [](float* to, std::uint32_t pair) {
    to[0] = to_float(F16{static_cast<std::uint16_t>(pair & 0xffffu)});
    to[1] = to_float(F16{static_cast<std::uint16_t>(pair >> 16)});
  });
}

#else

inline __device__ std::uint32_t pack_f16(float low, float high) {
  std::uint32_t pair;
  asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}
inline __device__ Halves4 fp8_to_f16(std::uint32_t bytes) {
  Halves4 halves;
  asm("{ .reg .b16 low, high; mov.b32 {low, high}, %2; cvt.rn.f16x2.e4m3x2 %0, low; "
      "cvt.rn.f16x2.e4m3x2 %1, high; }"
      : "=r"(halves.x), "=r"(halves.y)
      : "r"(bytes));
  return halves;
}

inline __device__ void mma_16x8x16(float (&c)[4], const std::uint32_t (&a)[4],
                                   const std::uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
inline __device__ void mma_16x8x16_f16(float (&c)[4], const std::uint32_t (&a)[4],
                                       const std::uint32_t (&b)[2]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

#endif

}  // namespace MILLRACE_GPU_WORDS
}  // namespace millrace::gpu
