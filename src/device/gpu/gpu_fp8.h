// Words for FP8 on GPUs, in the encoding that the GPU's own instructions have: see tensor/fp8.h.
//
//   kFp8                     Fp8::Fnuz or Fp8::Ocp
//   pack_fp8(a, b, c, d)     four floats as bytes, a the lowest; to nearest even, the largest
//   number
//                            where they are too large
//   unpack_fp8(bytes, out)   four floats
//
// Caches are OCP's bytes on every GPU, so that whoever reads one need not ask where it was written.
// Where the instructions are FNUZ's they take a byte for half of what it means, and have a number
// for each of OCP's but -0, which is never stored: halving and doubling is all there is to it.
//   widen(F8E4M3), narrow<F8E4M3>(x), store4(F8E4M3*, Floats4)
//   kFp8Unit                         what has to be multiplied to unpack_fp8() of a cache's bytes
#pragma once

#include "device/gpu/gpu.h"
#include "tensor/fp8.h"

namespace millrace::gpu {
inline namespace MILLRACE_GPU_WORDS {

#if defined(MILLRACE_GPU_EMULATED)

constexpr Fp8 kFp8 = kWave == 64 ? Fp8::Fnuz : Fp8::Ocp;

inline std::uint32_t pack_fp8(float a, float b, float c, float d) {
  std::uint32_t bytes = 0;
  for (const float x : {d, c, b, a}) bytes = bytes << 8 | fp8_from_float(x, kFp8);
  return bytes;
}
inline void unpack_fp8(std::uint32_t bytes, float (&out)[4]) {
  for (float& x : out) {
    x = fp8_to_float(static_cast<std::uint8_t>(bytes & 0xffu), kFp8);
    bytes >>= 8;
  }
}

#elif defined(__HIP__)

#if defined(__gfx950__)
constexpr Fp8 kFp8 = Fp8::Ocp;
#else
constexpr Fp8 kFp8 = Fp8::Fnuz;
#endif

// The instruction makes a NaN of what is too large: it is cut off first. A NaN passes fmed3 as the
// smallest of the others, so it is kept apart.
inline __device__ float cut_to_fp8(float x) {
  return x != x ? x : __builtin_amdgcn_fmed3f(x, -largest(kFp8), largest(kFp8));
}
inline __device__ std::uint32_t pack_fp8(float a, float b, float c, float d) {
#if defined(__HIP_DEVICE_COMPILE__)
  int bytes = __builtin_amdgcn_cvt_pk_fp8_f32(cut_to_fp8(a), cut_to_fp8(b), 0, false);
  bytes = __builtin_amdgcn_cvt_pk_fp8_f32(cut_to_fp8(c), cut_to_fp8(d), bytes, true);
  return static_cast<std::uint32_t>(bytes);
#else
  return a + b + c + d > 0;  // never run: the host's half of the compilation
#endif
}
inline __device__ void unpack_fp8([[maybe_unused]] std::uint32_t bytes, float (&out)[4]) {
#if defined(__HIP_DEVICE_COMPILE__)
  const auto low = __builtin_amdgcn_cvt_pk_f32_fp8(static_cast<int>(bytes), false);
  const auto high = __builtin_amdgcn_cvt_pk_f32_fp8(static_cast<int>(bytes), true);
  out[0] = low[0];
  out[1] = low[1];
  out[2] = high[0];
  out[3] = high[1];
#else
  out[0] = 0;
#endif
}

#else

constexpr Fp8 kFp8 = Fp8::Ocp;

inline __device__ std::uint32_t pack_fp8(float a, float b, float c, float d) {
  std::uint16_t low, high;
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(low) : "f"(b), "f"(a));
  asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(high) : "f"(d), "f"(c));
  return low | std::uint32_t{high} << 16;
}
inline __device__ void unpack_fp8(std::uint32_t bytes, float (&out)[4]) {
  for (int pair = 0; pair < 2; ++pair) {
    std::uint32_t halves;
    asm("cvt.rn.f16x2.e4m3x2 %0, %1;"
        : "=r"(halves)
        : "h"(static_cast<std::uint16_t>(bytes >> (16 * pair) & 0xffffu)));
    asm("{ .reg .f16 l, h; mov.b32 {l, h}, %2; cvt.f32.f16 %0, l; cvt.f32.f16 %1, h; }"
        : "=f"(out[2 * pair]), "=f"(out[2 * pair + 1])
        : "r"(halves));
  }
}

#endif

constexpr float kFp8Unit = kFp8 == Fp8::Fnuz ? 2.0f : 1.0f;

// Four numbers as a cache's bytes; what is too large becomes 448.
inline __device__ std::uint32_t pack_cached_fp8(const Floats4& v) {
  // Comparisons, so that a NaN passes.
  const auto fit = [](float x) {
    if constexpr (kFp8 == Fp8::Ocp) return fabsf(x) <= 0x1p-10f ? 0.0f : x;
    return x > 448.0f ? 224.0f : x < -448.0f ? -224.0f : 0.5f * x;
  };
  return pack_fp8(fit(v.x), fit(v.y), fit(v.z), fit(v.w));
}

inline __device__ float widen(F8E4M3 x) {
  float values[4];
  unpack_fp8(x.bits, values);
  return kFp8Unit * values[0];
}
template <>
inline __device__ F8E4M3 narrow<F8E4M3>(float x) {
  return {static_cast<std::uint8_t>(pack_cached_fp8({x, 0, 0, 0}) & 0xffu)};
}
inline __device__ void store4(F8E4M3* p, Floats4 v) {
  *reinterpret_cast<std::uint32_t*>(p) = pack_cached_fp8(v);
}

}  // namespace MILLRACE_GPU_WORDS
}  // namespace millrace::gpu
