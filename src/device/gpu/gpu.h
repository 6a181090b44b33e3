// The words that GPU kernels are written in. One source, *_gpu.cu, is compiled by nvcc, by clang
// for AMD, and by the host compiler for the emulated device that tests run on where there is no
// GPU. Beside CUDA's own words (__global__, __device__, __shared__, threadIdx, blockIdx, blockDim,
// gridDim, __syncthreads), which all three understand, a vendor's header defines in millrace::gpu:
//
//   kWave                        lanes that execute together: 32 or 64
//   shuffle(v, lane)             v of another lane of the wave; every lane must take part
//   shuffle_xor(v, mask)         v of lane ^ mask
//   any_lane(condition)          does it hold in any lane of the wave? every lane must take part
//   exp2_fast(x)                 2^x to about 22 bits; 0 where the result would be denormal
//   sync_wave()                  orders shared memory among the lanes of a wave
//   load_once(p)                 16 bytes that nobody reads again soon: past the first cache
//   float_of_bits, bits_of_float
//   pack_bf16(low, high)         two floats as BF16 in 32 bits, rounded to nearest even
//   copy_async(shared, global)   16 bytes into shared memory, past the registers; seen by the
//   thread
//                                that asked once it has waited
//   end_copies()                 closes a group of this thread's copies
//   wait_copies<n>()             until at most the n youngest groups are on their way
//   prefetch_l2(p)               asks for a line of 128 bytes to be brought into the device's cache
//   add_atomic(p, v)             relaxed, device scope, returns the old value
//   fence()                      earlier writes are seen by the device before later ones
//   dynamic_shared()             the launch's shared bytes, 16-byte aligned
//   wait_for_previous()          with LaunchShape::overlaps: before touching what earlier kernels
//                                write; weights may be read before
//   let_next_start()             the next kernel may take free multiprocessors from here on
//   launch(kernel, shape, stream, arguments...)
//   multiprocessors(stream)      of the stream's device
//   shared_limit(stream)         bytes of shared memory that a block may have; for AMD alone
//
// MILLRACE_GPU is the name of the namespace that this compilation's kernels live in: cuda, hip or
// emulated. Everything in a *_gpu.cu stands in millrace::MILLRACE_GPU, so that one binary holds
// all. MILLRACE_GPU_WORDS, which a vendor's header names, keeps its words apart from the others'
// in the same way: they are inline functions and templates of one name.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/half.h"

namespace millrace::gpu {

struct Extent {
  unsigned x = 1, y = 1, z = 1;
};

struct LaunchShape {
  Extent grid;
  Extent block;
  std::size_t shared_bytes = 0;
  // The kernel calls wait_for_previous() and may be started before its predecessor has ended.
  bool overlaps = false;
};

// 16 bytes, loaded and stored at once.
struct alignas(16) Bits16 {
  std::uint32_t x, y, z, w;
};
struct alignas(16) Floats4 {
  float x, y, z, w;
};

}  // namespace millrace::gpu

#if defined(MILLRACE_GPU_EMULATED)
#include "device/gpu/gpu_emulated.h"
#elif defined(__HIP__)
#include "device/gpu/gpu_hip.h"
#else
#include "device/gpu/gpu_cuda.h"
#endif

namespace millrace::gpu {
inline namespace MILLRACE_GPU_WORDS {

inline __device__ float wave_sum(float value) {
  for (int mask = kWave / 2; mask > 0; mask /= 2) value += shuffle_xor(value, mask);
  return value;
}

inline __device__ float wave_max(float value) {
  for (int mask = kWave / 2; mask > 0; mask /= 2) value = fmaxf(value, shuffle_xor(value, mask));
  return value;
}

// The sum over the block in every thread. `scratch` holds blockDim.x / kWave floats of shared
// memory, free again after the caller's next barrier.
inline __device__ float block_sum(float value, float* scratch) {
  value = wave_sum(value);
  if (threadIdx.x % kWave == 0) scratch[threadIdx.x / kWave] = value;
  __syncthreads();
  float total = 0;
  for (unsigned i = 0; i < blockDim.x / kWave; ++i) total += scratch[i];
  return total;
}

// Halves of a word that holds two BF16.
inline __device__ float low_bf16(std::uint32_t pair) {
  return float_of_bits(pair << 16);
}
inline __device__ float high_bf16(std::uint32_t pair) {
  return float_of_bits(pair & 0xffff0000u);
}
// pack_bf16() of floats that are BF16 numbers: nothing is rounded.
inline __device__ std::uint32_t exact_bf16(float low, float high) {
  return bits_of_float(low) >> 16 | (bits_of_float(high) & 0xffff0000u);
}

// Activations are float or BF16; arithmetic is float.
inline __device__ float widen(float x) {
  return x;
}
inline __device__ float widen(BF16 x) {
  return float_of_bits(std::uint32_t{x.bits} << 16);
}
template <typename T>
__device__ T narrow(float x);
template <>
inline __device__ float narrow<float>(float x) {
  return x;
}
template <>
inline __device__ BF16 narrow<BF16>(float x) {
  return {static_cast<std::uint16_t>(pack_bf16(x, 0.0f) & 0xffffu)};
}

}  // namespace MILLRACE_GPU_WORDS
}  // namespace millrace::gpu
