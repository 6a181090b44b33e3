// AMD's side of gpu.h: gfx942 (CDNA3) and gfx950 (CDNA4), waves of 64; included by it alone.
#pragma once

// Standard headers before HIP's, which redefine what they use.
#include <hip/hip_runtime.h>

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "device/hip/hip_stream.h"

#define MILLRACE_GPU_WORDS on_amd
#define MILLRACE_GPU_HAS_MFMA 1

namespace millrace::gpu {
inline namespace MILLRACE_GPU_WORDS {

// warpSize is no constant.
constexpr int kWave = 64;

template <typename T>
__device__ T shuffle(T value, int lane) {
  return __shfl(value, lane, kWave);
}
template <typename T>
__device__ T shuffle_xor(T value, int mask) {
  return __shfl_xor(value, mask, kWave);
}
inline __device__ bool any_lane(bool condition) {
  return __any(condition);
}
inline __device__ float exp2_fast(float x) {
  return __builtin_amdgcn_exp2f(x);
}
// Lanes run in lock step; what has to be kept in order is memory, by the compiler and the hardware.
inline __device__ void sync_wave() {
  __builtin_amdgcn_fence(__ATOMIC_ACQ_REL, "wavefront");
  __builtin_amdgcn_wave_barrier();
}

using Words4 = std::uint32_t __attribute__((ext_vector_type(4)));

inline __device__ Bits16 load_once(const void* p) {
  const Words4 v = __builtin_nontemporal_load(static_cast<const Words4*>(p));
  return {v.x, v.y, v.z, v.w};
}

// Through the registers: the direct way's instructions differ between the two generations, and
// kernels made for AMD keep what they stream in registers anyway.
inline __device__ void copy_async(void* shared, const void* global) {
  *static_cast<Words4*>(shared) = *static_cast<const Words4*>(global);
}
inline __device__ void end_copies() {}
template <int kYoungest>
__device__ void wait_copies() {}

inline __device__ void prefetch_l2(const void*) {}

inline __device__ float float_of_bits(std::uint32_t bits) {
  return __uint_as_float(bits);
}
inline __device__ std::uint32_t bits_of_float(float x) {
  return __float_as_uint(x);
}

inline __device__ std::uint32_t pack_bf16(float low, float high) {
#if defined(__gfx950__)
  std::uint32_t pair;
  asm("v_cvt_pk_bf16_f32 %0, %1, %2" : "=v"(pair) : "v"(low), "v"(high));
  return pair;
#else
  // gfx942 has no such instruction. To nearest even: half of the last place, less a bit where that
  // place is even; a NaN must not carry into the sign, so it keeps its top half, made quiet.
  const auto rounded = [](float x) {
    const std::uint32_t bits = __float_as_uint(x);
    const std::uint32_t nearest = bits + 0x7fffu + ((bits >> 16) & 1u);
    return x != x ? (bits | 0x00400000u) : nearest;
  };
  // Bytes 2 and 3 of each.
  return __builtin_amdgcn_perm(rounded(high), rounded(low), 0x07060302u);
#endif
}

template <typename T>
__device__ T add_atomic(T* p, T value) {
  return __hip_atomic_fetch_add(p, value, __ATOMIC_RELAXED, __HIP_MEMORY_SCOPE_AGENT);
}

// Of agent scope: the L2 caches of the eight dies of a GPU are not coherent by themselves.
inline __device__ void fence() {
  __builtin_amdgcn_fence(__ATOMIC_SEQ_CST, "agent");
}

inline __device__ std::byte* dynamic_shared() {
  extern __shared__ __align__(16) std::byte millrace_dynamic_shared[];
  return millrace_dynamic_shared;
}

// Kernels of a stream do not overlap.
inline __device__ void wait_for_previous() {}
inline __device__ void let_next_start() {}

inline int multiprocessors(Stream& stream) {
  return static_cast<hip::HipStream&>(stream).multiprocessors();
}

inline std::int64_t shared_limit(Stream& stream) {
  return static_cast<hip::HipStream&>(stream).shared_limit();
}

// Throws DeviceError.
template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), const LaunchShape& shape, Stream& stream,
            Arguments... arguments) {
  const auto run = [&](Parameters... values) {
    void* pointers[] = {const_cast<void*>(static_cast<const void*>(&values))...};
    static_cast<hip::HipStream&>(stream).launch(reinterpret_cast<const void*>(kernel),
                                                {{shape.grid.x, shape.grid.y, shape.grid.z},
                                                 {shape.block.x, shape.block.y, shape.block.z},
                                                 static_cast<unsigned>(shape.shared_bytes)},
                                                pointers);
  };
  run(static_cast<Parameters>(arguments)...);
}

}  // namespace MILLRACE_GPU_WORDS
}  // namespace millrace::gpu
