// What attention in a decode step makes of a cache's element type, chosen when the kernel is
// compiled: how a token's new key and value are stored, how eight neighbours are read and
// multiplied.
#pragma once

#include "device/gpu/gpu_fp8.h"
#include "device/gpu/gpu_mma.h"
#include "ops/decode_step/decode_words.cuh"

namespace millrace::MILLRACE_GPU::decode {

template <typename CacheType>
struct CacheSizes {
  static constexpr int kRowBytes = kDecodeHeadDim * CacheType::kElementBytes;
  // Keys, or values, of one cache block and KV head.
  static constexpr int kBlockBytes = kDecodeBlockTokens * kRowBytes;
  // Cache blocks, keys and values, of a tile of the ring.
  static constexpr int kTileBlocks = kDecodeTileBytes / (2 * kBlockBytes);
};

struct Bf16Cache {
  static constexpr int kElementBytes = 2;
  using Pair = std::uint32_t;  // two neighbours

  static __device__ Pair pack(float low, float high) { return pack_pair(low, high); }
  // Factors of products: of a query that was rounded to BF16, of weights, of eight neighbours.
  static __device__ std::uint32_t factors(std::uint32_t pair) { return pair; }
  static __device__ std::uint32_t factors(float low, float high) { return pack_pair(low, high); }
  static __device__ Words4 read_eight(const std::byte* from) {
    return *reinterpret_cast<const Words4*>(from);
  }
  static __device__ void multiply(float (&sums)[4], std::uint32_t a0, std::uint32_t a2,
                                  std::uint32_t b0, std::uint32_t b1) {
    multiply_add(sums, a0, a2, b0, b1);
  }
};

// Every FP8 number is an F16 number.
struct Fp8Cache {
  static constexpr int kElementBytes = 1;
  using Pair = std::uint16_t;

  static __device__ Pair pack(float low, float high) {
    return static_cast<Pair>(gpu::pack_cached_fp8({low, high, 0, 0}) & 0xffffu);
  }
  static __device__ std::uint32_t factors(std::uint32_t pair) {
    return gpu::pack_f16(gpu::fit_f16(low_half(pair)), gpu::fit_f16(high_half(pair)));
  }
  static __device__ std::uint32_t factors(float low, float high) {
    return gpu::pack_f16(low, high);
  }
  static __device__ Words4 read_eight(const std::byte* from) {
    struct alignas(8) Eight {
      std::uint32_t first, last;
    };
    const Eight bytes = *reinterpret_cast<const Eight*>(from);
    const gpu::Halves4 first = gpu::fp8_to_f16(bytes.first);
    const gpu::Halves4 last = gpu::fp8_to_f16(bytes.last);
    return {first.x, first.y, last.x, last.y};
  }
  static __device__ void multiply(float (&sums)[4], std::uint32_t a0, std::uint32_t a2,
                                  std::uint32_t b0, std::uint32_t b1) {
    gpu::mma_16x8x16_f16(sums, {a0, 0, a2, 0}, {b0, b1});
  }
};

}  // namespace millrace::MILLRACE_GPU::decode
