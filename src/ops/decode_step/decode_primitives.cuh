// The few words of sm_90 that the decode step is written in: bulk copies, mbarriers, relaxed words,
// the tensor core product. CUDA alone.
#pragma once

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "ops/decode_step/decode_shared.h"

namespace millrace::cuda::decode {

constexpr int kLanes = 32;
// Looks in vain before the kernel gives up: a bug shall be an error, not a hang. Seconds.
constexpr int kMostLooks = 1 << 25;

inline __device__ std::uint32_t shared_address(const void* p) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(p));
}

inline __device__ void init_barrier(std::uint64_t* b, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(b)), "r"(arrivals)
               : "memory");
}
inline __device__ void expect_bytes(std::uint64_t* b, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(b)),
               "r"(bytes)
               : "memory");
}
inline __device__ void arrive(std::uint64_t* b) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(b)) : "memory");
}
inline __device__ bool has_turned(std::uint64_t* b, std::uint32_t parity) {
  std::uint32_t done;
  asm volatile(
      "{\n.reg .pred p;\n"
      "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
      "selp.u32 %0, 1, 0, p;\n}"
      : "=r"(done)
      : "r"(shared_address(b)), "r"(parity)
      : "memory");
  return done != 0;
}
inline __device__ void wait_for(std::uint64_t* b, std::uint32_t parity) {
  for (int looks = 0; !has_turned(b, parity); ++looks)
    if (looks > kMostLooks) __trap();
}

inline __device__ void copy_bulk(void* to, const void* from, int bytes, std::uint64_t* b) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(shared_address(to)),
      "l"(from), "r"(bytes), "r"(shared_address(b))
      : "memory");
}

// Words that other multiprocessors write in the same launch.
inline __device__ std::uint32_t load_word(const std::uint32_t* p) {
  std::uint32_t v;
  asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];" : "=r"(v) : "l"(p) : "memory");
  return v;
}
inline __device__ uint4 load_words(const std::uint32_t* p) {
  uint4 v;
  asm volatile("ld.relaxed.gpu.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(p)
               : "memory");
  return v;
}
inline __device__ void store_word(std::uint32_t* p, std::uint32_t v) {
  asm volatile("st.relaxed.gpu.global.u32 [%0], %1;" ::"l"(p), "r"(v) : "memory");
}
inline __device__ void store_words(std::uint32_t* p, std::uint32_t a, std::uint32_t b) {
  asm volatile("st.relaxed.gpu.global.v2.u32 [%0], {%1, %2};" ::"l"(p), "r"(a), "r"(b) : "memory");
}
inline __device__ void count_up(std::uint32_t* p) {
  asm volatile("red.relaxed.gpu.global.add.u32 [%0], 1;" ::"l"(p) : "memory");
}
inline __device__ bool is_missing(const uint4& v) {
  return v.x == kDecodeUnwritten || v.y == kDecodeUnwritten || v.z == kDecodeUnwritten ||
         v.w == kDecodeUnwritten;
}

// All waves that multiply.
inline __device__ void sync_multipliers() {
  asm volatile("bar.sync 1, %0;" ::"n"(kDecodeWaves * kLanes) : "memory");
}

inline __device__ float low_half(std::uint32_t pair) {
  return __uint_as_float(pair << 16);
}
inline __device__ float high_half(std::uint32_t pair) {
  return __uint_as_float(pair & 0xffff0000u);
}
inline __device__ std::uint32_t pack_pair(float low, float high) {
  std::uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}
inline __device__ float rounded(float x) {
  return __bfloat162float(__float2bfloat16(x));
}

// sums[row g of a][columns 2t, 2t+1] += a (rows 8 to 15 are zero) * b.
inline __device__ void multiply_add(float (&sums)[4], std::uint32_t a0, std::uint32_t a2,
                                    std::uint32_t b0, std::uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %5}, "
      "{%7, %8}, {%0, %1, %2, %3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a0), "r"(0), "r"(a2), "r"(b0), "r"(b1));
}

template <typename T>
__device__ T wave_sum(T x) {
  for (int d = kLanes / 2; d; d /= 2) x += __shfl_xor_sync(~0u, x, d);
  return x;
}

}  // namespace millrace::cuda::decode
