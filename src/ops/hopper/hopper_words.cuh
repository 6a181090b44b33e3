// The words of sm_90a that hopper_product.cuh is written in: tensor copies, barriers within a block
// and across a cluster, warpgroup products. CUDA alone; other targets compile them to nothing.
#pragma once

#include <cuda.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "device/cuda/barrier.cuh"
#include "device/gpu/gpu.h"

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define MILLRACE_HOPPER 1
#else
#define MILLRACE_HOPPER 0
#endif

namespace millrace::cuda::hopper {

// Elsewhere the kernels are empty, and never launched.
constexpr bool kIsHopper = MILLRACE_HOPPER;

// --- shared memory, by address ---

inline __device__ void store(std::uint32_t to, float v) {
  asm volatile("st.shared.f32 [%0], %1;" ::"r"(to), "f"(v) : "memory");
}
inline __device__ float load(std::uint32_t from) {
  float v;
  asm volatile("ld.shared.f32 %0, [%1];" : "=f"(v) : "r"(from) : "memory");
  return v;
}
inline __device__ gpu::Floats4 load_four(std::uint32_t from) {
  gpu::Floats4 v;
  asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];"
               : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
               : "r"(from)
               : "memory");
  return v;
}

// --- barriers there ---

// At the barrier of the cluster's block `rank` that lies where `barrier` lies here.
inline __device__ void arrive_at(std::uint32_t barrier, unsigned rank) {
  asm volatile(
      "{\n.reg .b32 remote;\n"
      "mapa.shared::cluster.u32 remote, %0, %1;\n"
      "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [remote];\n}" ::"r"(barrier),
      "r"(rank)
      : "memory");
}
// A bug shall be an error, not a hang: seconds.
constexpr int kMostLooks = 1 << 25;
inline __device__ void wait_for(std::uint32_t barrier, std::uint32_t parity) {
  for (int looks = 0; !has_turned(barrier, parity); ++looks)
    if (looks > kMostLooks) __trap();
}
// For what other blocks of the cluster have written before they arrived.
inline __device__ void wait_for_cluster(std::uint32_t barrier, std::uint32_t parity) {
  wait_for(barrier, parity);
  asm volatile("fence.acq_rel.cluster;" ::: "memory");
}

// --- the cluster ---

inline __device__ unsigned cluster_rank() {
  unsigned rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}
inline __device__ void sync_cluster() {
  asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::
                   : "memory");
}
// Four floats of the block `rank`'s shared memory, at the place that is `address` here.
inline __device__ gpu::Floats4 load_from(std::uint32_t address, unsigned rank) {
  gpu::Floats4 v;
  asm volatile(
      "{\n.reg .b32 remote;\n"
      "mapa.shared::cluster.u32 remote, %4, %5;\n"
      "ld.shared::cluster.v4.f32 {%0, %1, %2, %3}, [remote];\n}"
      : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
      : "r"(address), "r"(rank)
      : "memory");
  return v;
}
// All of the block's, each wave from wherever it is: __syncthreads() has to be the same one for
// all.
inline __device__ void sync_block() {
  asm volatile("barrier.sync 0;" ::: "memory");
}
// `threads` of the block's, a multiple of 32; every one of them.
inline __device__ void sync_threads(int threads) {
  asm volatile("bar.sync 1, %0;" ::"r"(threads) : "memory");
}

// --- memory that all blocks see ---

// Adds; the value before. What this block's threads wrote before they met here is seen by whom a
// later one tells, and the other way round: in place of two fences of the whole device.
inline __device__ int add_in_order(int* to, int v) {
  int before;
  asm volatile("atom.add.acq_rel.gpu.global.s32 %0, [%1], %2;"
               : "=r"(before)
               : "l"(to), "r"(v)
               : "memory");
  return before;
}

// --- copies ---

// A box of a matrix whose first element is (k, row), into shared memory; its bytes arrive at the
// barrier. Streamed: nobody reads it again soon.
inline __device__ void copy_box(std::uint32_t to, const CUtensorMap& map, int k, int row,
                                std::uint32_t barrier, bool streamed) {
  constexpr std::uint64_t kEvictFirst = 0x12F0000000000000;
  constexpr std::uint64_t kEvictLast = 0x14F0000000000000;
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint "
      "[%0], [%1, {%2, %3}], [%4], %5;" ::"r"(to),
      "l"(&map), "r"(k), "r"(row), "r"(barrier), "l"(streamed ? kEvictFirst : kEvictLast)
      : "memory");
}
inline __device__ void prefetch_map(const CUtensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}

// --- warpgroup products ---

// Of a tile whose rows are 128 bytes, swizzled, in groups of eight: 1024 bytes a group.
inline __device__ std::uint64_t tile_descriptor(std::uint32_t address) {
  return (std::uint64_t{address & 0x3ffff} >> 4) | (std::uint64_t{1} << 16) |
         (std::uint64_t{1024 >> 4} << 32) | (std::uint64_t{1} << 62);
}
inline __device__ void begin_products() {
#if MILLRACE_HOPPER
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}
inline __device__ void end_products() {
#if MILLRACE_HOPPER
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#endif
}
// Until at most the youngest groups are unfinished.
template <int kYoungest>
__device__ void wait_products() {
#if MILLRACE_HOPPER
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kYoungest) : "memory");
#endif
}

// Nothing made of the sums may be moved from below to above this place.
template <int kCount>
__device__ void keep(float (&sums)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(sums[i])::"memory");
}

// sums[64][n] += a[64][16] * b[n][16]^T; lane 4g + t of warp w holds, as sums[4j + 2h + i], that
// of row 16w + g + 8h and column 8j + 2t + i.
inline __device__ void multiply(float (&d)[8], std::uint64_t a, std::uint64_t b) {
#if MILLRACE_HOPPER
  asm volatile(
      "{\n.reg .pred p;\nsetp.eq.u32 p, 0, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 "
      "{%0, %1, %2, %3, %4, %5, %6, %7}, %8, %9, p, 1, 1, 0, 0;\n}"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]),
        "+f"(d[7])
      : "l"(a), "l"(b));
#endif
}
inline __device__ void multiply(float (&d)[16], std::uint64_t a, std::uint64_t b) {
#if MILLRACE_HOPPER
  asm volatile(
      "{\n.reg .pred p;\nsetp.eq.u32 p, 0, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15}, %16, %17, "
      "p, 1, 1, 0, 0;\n}"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]),
        "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]),
        "+f"(d[14]), "+f"(d[15])
      : "l"(a), "l"(b));
#endif
}
inline __device__ void multiply(float (&d)[32], std::uint64_t a, std::uint64_t b) {
#if MILLRACE_HOPPER
  asm volatile(
      "{\n.reg .pred p;\nsetp.eq.u32 p, 0, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, %19, "
      "%20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, %32, %33, p, 1, 1, 0, 0;\n}"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]),
        "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]),
        "+f"(d[14]), "+f"(d[15]), "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]),
        "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]),
        "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31])
      : "l"(a), "l"(b));
#endif
}

inline __device__ void multiply(float (&d)[64], std::uint64_t a, std::uint64_t b) {
#if MILLRACE_HOPPER
  asm volatile(
      "{\n.reg .pred p;\nsetp.eq.u32 p, 0, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 "
      "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, "
      "%18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, "
      "%35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, "
      "%52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, %64, %65, p, 1, 1, 0, "
      "0;\n}"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]),
        "+f"(d[7]), "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]),
        "+f"(d[14]), "+f"(d[15]), "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]),
        "+f"(d[21]), "+f"(d[22]), "+f"(d[23]), "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]),
        "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31]), "+f"(d[32]), "+f"(d[33]), "+f"(d[34]),
        "+f"(d[35]), "+f"(d[36]), "+f"(d[37]), "+f"(d[38]), "+f"(d[39]), "+f"(d[40]), "+f"(d[41]),
        "+f"(d[42]), "+f"(d[43]), "+f"(d[44]), "+f"(d[45]), "+f"(d[46]), "+f"(d[47]), "+f"(d[48]),
        "+f"(d[49]), "+f"(d[50]), "+f"(d[51]), "+f"(d[52]), "+f"(d[53]), "+f"(d[54]), "+f"(d[55]),
        "+f"(d[56]), "+f"(d[57]), "+f"(d[58]), "+f"(d[59]), "+f"(d[60]), "+f"(d[61]), "+f"(d[62]),
        "+f"(d[63])
      : "l"(a), "l"(b));
#endif
}

}  // namespace millrace::cuda::hopper
