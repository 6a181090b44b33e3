// The emulated side of gpu.h: a block's threads are fibers on one thread of the host. Slow, but
// exact, deterministic, and there where no GPU is.
#pragma once

#include <bit>
#include <cmath>
#include <cstring>
#include <functional>

#include "device/device.h"
#include "device/emulated/grid.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __shared__ static thread_local
#define __launch_bounds__(...)
#define threadIdx (::millrace::emulated::current_thread().thread)
#define blockIdx (::millrace::emulated::current_thread().block)
#define blockDim (::millrace::emulated::current_thread().block_extent)
#define gridDim (::millrace::emulated::current_thread().grid_extent)
#define __syncthreads() ::millrace::emulated::sync_block()

// The emulation has two forms: NVIDIA's waves of 32 lanes, and AMD's of 64.
#if MILLRACE_GPU_EMULATED == 64
#define MILLRACE_GPU_WORDS emulated_amd
#define MILLRACE_GPU_HAS_MFMA 1
#else
#define MILLRACE_GPU_WORDS emulated_nvidia
#endif

namespace millrace::gpu {
inline namespace MILLRACE_GPU_WORDS {

constexpr int kWave = MILLRACE_GPU_EMULATED;

template <typename T>
T shuffle(T value, int lane) {
  static_assert(sizeof(T) <= sizeof(std::uint64_t));
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = emulated::exchange_in_wave(bits, lane);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}
template <typename T>
T shuffle_xor(T value, int mask) {
  return shuffle(value, static_cast<int>(threadIdx.x % kWave) ^ mask);
}
inline bool any_lane(bool condition) {
  for (int mask = kWave / 2; mask > 0; mask /= 2)
    condition = shuffle_xor(condition, mask) || condition;
  return condition;
}
inline float exp2_fast(float x) {
  return std::exp2(x);
}
inline void sync_wave() {
  emulated::sync_wave();
}

inline Bits16 load_once(const void* p) {
  return *static_cast<const Bits16*>(p);
}

inline void copy_async(void* shared, const void* global) {
  std::memcpy(shared, global, 16);
}
inline void end_copies() {}
template <int kYoungest>
void wait_copies() {}

inline void prefetch_l2(const void*) {}

inline float float_of_bits(std::uint32_t bits) {
  return std::bit_cast<float>(bits);
}
inline std::uint32_t bits_of_float(float x) {
  return std::bit_cast<std::uint32_t>(x);
}
inline std::uint32_t pack_bf16(float low, float high) {
  return to_bf16(low).bits | std::uint32_t{to_bf16(high).bits} << 16;
}

template <typename T>
T add_atomic(T* p, T value) {
  const T old = *p;
  *p = old + value;
  return old;
}

inline void fence() {}

inline std::byte* dynamic_shared() {
  return emulated::current_thread().dynamic_shared;
}
inline void wait_for_previous() {}
inline void let_next_start() {}
inline int multiprocessors(Stream&) {
  return 4;  // EmulatedDevice's
}
inline std::int64_t shared_limit(Stream&) {
  return 32 * 1024;  // less than any GPU's, so that tests see what happens where it is short
}

template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), const LaunchShape& shape, Stream&,
            Arguments... arguments) {
  const auto index = [](const Extent& e) { return emulated::Index{e.x, e.y, e.z}; };
  emulated::run_grid(
      index(shape.grid), index(shape.block), shape.shared_bytes,
      [=] { kernel(static_cast<Parameters>(arguments)...); }, kWave);
}

}  // namespace MILLRACE_GPU_WORDS
}  // namespace millrace::gpu
