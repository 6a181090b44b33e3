// Barriers in shared memory that threads and copies arrive at (mbarriers, sm_90 and later), by
// address or by pointer. CUDA alone.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace millrace::cuda {

inline __device__ std::uint32_t shared_address(const void* p) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(p));
}

inline __device__ void init_barrier(std::uint32_t barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}
// After init_barrier() and before the block's, or the cluster's, next barrier: copies and other
// blocks see what was initialised.
inline __device__ void publish_barriers() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
inline __device__ void arrive(std::uint32_t barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}
// Arrives, and lets the round end only when so many bytes have come.
inline __device__ void expect_bytes(std::uint32_t barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes)
               : "memory");
}
// Has the round with that parity ended? May wait for a little while.
inline __device__ bool has_turned(std::uint32_t barrier, std::uint32_t parity) {
  std::uint32_t done;
  asm volatile(
      "{\n.reg .pred p;\n"
      "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
      "selp.u32 %0, 1, 0, p;\n}"
      : "=r"(done)
      : "r"(barrier), "r"(parity)
      : "memory");
  return done != 0;
}

inline __device__ void init_barrier(std::uint64_t* b, int arrivals) {
  init_barrier(shared_address(b), arrivals);
}
inline __device__ void arrive(std::uint64_t* b) {
  arrive(shared_address(b));
}
inline __device__ void expect_bytes(std::uint64_t* b, int bytes) {
  expect_bytes(shared_address(b), bytes);
}
inline __device__ bool has_turned(std::uint64_t* b, std::uint32_t parity) {
  return has_turned(shared_address(b), parity);
}

}  // namespace millrace::cuda
