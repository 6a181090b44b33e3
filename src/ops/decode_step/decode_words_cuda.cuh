// NVIDIA's side of decode_words.cuh; included by it alone.
#pragma once

#include <cuda_runtime.h>

#include "device/cuda/barrier.cuh"
#include "device/cuda/cuda_stream.h"

namespace millrace::cuda::decode {

using Words4 = uint4;
using Words2 = uint2;
using Floats2 = float2;
using Floats4 = float4;

inline __device__ void copy_bulk(void* to, const void* from, int bytes, std::uint64_t* b) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::
          "r"(shared_address(to)),
      "l"(from), "r"(bytes), "r"(shared_address(b))
      : "memory");
}

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
// A word that the host reads while the kernel runs.
inline __device__ void tell_host(std::uint32_t* p, std::uint32_t v) {
  asm volatile("st.relaxed.sys.global.u32 [%0], %1;" ::"l"(p), "r"(v) : "memory");
}

inline __device__ void sync_multipliers() {
  asm volatile("bar.sync 1, %0;" ::"n"(kDecodeWaves * 32) : "memory");
}
inline __device__ void look_again() {}

inline __device__ std::int64_t ticks() {
  return clock64();
}
inline __device__ std::int64_t nanoseconds() {
  std::int64_t now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  return now;
}

// Constants: nobody writes them while the kernel runs.
template <typename T>
__device__ T load_constant(const T* p) {
  return __ldg(p);
}
inline __device__ float divide_fast(float a, float b) {
  return __fdividef(a, b);
}
inline __device__ float inverse_root(float x) {
  return rsqrtf(x);
}
inline __device__ float exp_fast(float x) {
  return __expf(x);
}

// sums += a * b: [0] and [1] are row g of a (its words x and z), columns 2t and 2t+1 of b; [2] and
// [3] row g + 8 (y and w).
inline __device__ void multiply_add(float (&sums)[4], const Words4& a, std::uint32_t b0,
                                    std::uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a.x), "r"(a.y), "r"(a.z), "r"(a.w), "r"(b0), "r"(b1));
}
// The same with rows 8 to 15 of a zero.
inline __device__ void multiply_add(float (&sums)[4], std::uint32_t a0, std::uint32_t a2,
                                    std::uint32_t b0, std::uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %5}, "
      "{%7, %8}, {%0, %1, %2, %3};"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
      : "r"(a0), "r"(0), "r"(a2), "r"(b0), "r"(b1));
}

// All blocks run at once.
template <typename Parameters>
void launch_together(void (*kernel)(Parameters), int blocks, int threads, std::int64_t shared_bytes,
                     Stream& stream, const Parameters& parameters) {
  require(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                               cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(shared_bytes)),
          "more shared memory for a kernel");
  cudaLaunchConfig_t config = {};
  config.gridDim = {static_cast<unsigned>(blocks)};
  config.blockDim = {static_cast<unsigned>(threads)};
  config.dynamicSmemBytes = static_cast<std::size_t>(shared_bytes);
  config.stream = handle_of(stream);
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeCooperative;
  attribute.val.cooperative = 1;
  config.attrs = &attribute;
  config.numAttrs = 1;
  require(cudaLaunchKernelEx(&config, kernel, parameters), "a kernel launch");
}

}  // namespace millrace::cuda::decode
