// What attention_flash.cu makes of a cache's element type: how eight neighbours are loaded and what
// they become as factors of products. FP8 numbers are F16 numbers, one instruction for two of them.
#pragma once

#include "device/gpu/gpu_fp8.h"
#include "device/gpu/gpu_mma.h"
#include "ops/gpu_support.h"

namespace millrace::MILLRACE_GPU {

struct Bf16Cache {
  using Element = BF16;
  using Bits = gpu::Bits16;  // eight elements

  static __device__ gpu::Halves4 first_four(const Bits& v) { return {v.x, v.y}; }
  static __device__ gpu::Halves4 last_four(const Bits& v) { return {v.z, v.w}; }
  // Two floats, and eight BF16 of a query, as factors.
  static __device__ std::uint32_t pack(float low, float high) { return gpu::pack_bf16(low, high); }
  static __device__ gpu::Bits16 query(const gpu::Bits16& v) { return v; }
  static __device__ void multiply(float (&c)[4], const std::uint32_t (&a)[4],
                                  const std::uint32_t (&b)[2]) {
    gpu::mma_16x8x16(c, a, b);
  }
};

struct Fp8Cache {
  using Element = F8E4M3;
  struct alignas(8) Bits {
    std::uint32_t x, y;
  };

  static __device__ gpu::Halves4 first_four(const Bits& v) { return gpu::fp8_to_f16(v.x); }
  static __device__ gpu::Halves4 last_four(const Bits& v) { return gpu::fp8_to_f16(v.y); }
  static __device__ std::uint32_t pack(float low, float high) { return gpu::pack_f16(low, high); }
  static __device__ gpu::Bits16 query(const gpu::Bits16& v) {
    const auto of = [](std::uint32_t pair) {
      return gpu::pack_f16(gpu::fit_f16(gpu::low_bf16(pair)), gpu::fit_f16(gpu::high_bf16(pair)));
    };
    return {of(v.x), of(v.y), of(v.z), of(v.w)};
  }
  static __device__ void multiply(float (&c)[4], const std::uint32_t (&a)[4],
                                  const std::uint32_t (&b)[2]) {
    gpu::mma_16x8x16_f16(c, a, b);
  }
};

}  // namespace millrace::MILLRACE_GPU
