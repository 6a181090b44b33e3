// What the ops' GPU sources share for rows of activations.
#pragma once

#include "device/gpu/gpu.h"
#include "ops/matrix_view.h"
#include "tensor/dtype.h"

namespace millrace::gpu {
inline namespace MILLRACE_GPU_WORDS {

// 16 bytes at once?
inline bool is_aligned(const void* p) {
  return reinterpret_cast<std::uintptr_t>(p) % 16 == 0;
}
inline bool rows_are_aligned(const MatrixView& view) {
  return is_aligned(view.data) && bytes_of(view.dtype, view.stride) % 16 == 0;
}

// What SwiGLU makes of a gate and its value (spec 4.5).
inline __device__ float gated(float gate, float up) {
  return gate / (1.0f + expf(-gate)) * up;
}

// Four neighbouring activations, 16- or 8-byte aligned.
inline __device__ Floats4 load4(const float* p) {
  return *reinterpret_cast<const Floats4*>(p);
}
inline __device__ Floats4 load4(const BF16* p) {
  struct alignas(8) Bits8 {
    std::uint32_t x, y;
  };
  const auto v = *reinterpret_cast<const Bits8*>(p);
  return {low_bf16(v.x), high_bf16(v.x), low_bf16(v.y), high_bf16(v.y)};
}
inline __device__ void store4(float* p, Floats4 v) {
  *reinterpret_cast<Floats4*>(p) = v;
}
inline __device__ void store4(BF16* p, Floats4 v) {
  struct alignas(8) Bits8 {
    std::uint32_t x, y;
  };
  *reinterpret_cast<Bits8*>(p) = {pack_bf16(v.x, v.y), pack_bf16(v.z, v.w)};
}

}  // namespace MILLRACE_GPU_WORDS
}  // namespace millrace::gpu
