// Neighbouring activations of one thread, up to 16 bytes of them loaded and stored at once.
#pragma once

#include "device/gpu/gpu.h"
#include "tensor/dtype.h"

namespace millrace::gpu {
inline namespace MILLRACE_GPU_WORDS {

template <int kWidth>
struct Lanes {
  float at[kWidth];
};

// As they lie in memory; loaded at once as far as 16 bytes go.
template <int kWidth, typename T>
struct alignas(kWidth * sizeof(T) < 16 ? kWidth * sizeof(T) : 16) Packed {
  T at[kWidth];
};

template <int kWidth, typename T>
__device__ Packed<kWidth, T> load_packed(const T* p) {
  return *reinterpret_cast<const Packed<kWidth, T>*>(p);
}

template <int kWidth, typename T>
__device__ Lanes<kWidth> widen_lanes(const Packed<kWidth, T>& packed) {
  Lanes<kWidth> v;
#pragma unroll
  for (int i = 0; i < kWidth; ++i) v.at[i] = widen(packed.at[i]);
  return v;
}

template <int kWidth, typename T>
__device__ Lanes<kWidth> load_lanes(const T* p) {
  return widen_lanes(load_packed<kWidth>(p));
}

template <int kWidth>
__device__ void store_lanes(float* p, const Lanes<kWidth>& v) {
  Packed<kWidth, float> packed;
#pragma unroll
  for (int i = 0; i < kWidth; ++i) packed.at[i] = v.at[i];
  *reinterpret_cast<Packed<kWidth, float>*>(p) = packed;
}
template <int kWidth>
__device__ void store_lanes(BF16* p, const Lanes<kWidth>& v) {
  if constexpr (kWidth == 1) {
    *p = narrow<BF16>(v.at[0]);
  } else {
    struct alignas(kWidth * 2) {
      std::uint32_t pairs[kWidth / 2];
    } packed;
#pragma unroll
    for (int i = 0; i < kWidth / 2; ++i) packed.pairs[i] = pack_bf16(v.at[2 * i], v.at[2 * i + 1]);
    *reinterpret_cast<decltype(packed)*>(p) = packed;
  }
}

}  // namespace MILLRACE_GPU_WORDS
}  // namespace millrace::gpu
