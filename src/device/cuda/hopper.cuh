// The words of sm_90 beyond gpu.h and barrier.cuh: tensor copies, warpgroup products. CUDA alone.
//
// A warpgroup is four neighbouring waves; its products (wgmma) read a factor from shared memory by
// descriptor, sum into registers, and run beside the threads that asked for them: between
// multiply_*() and wait_products() nobody may touch the sums, nor write what is being read.
#pragma once

#include <cuda.h>
#include <cuda_runtime.h>

#include <cstdint>

#include "device/cuda/barrier.cuh"

namespace millrace::cuda::hopper {

// A wait that lasts this long is a bug: it shall be an error, not a hang.
constexpr std::uint64_t kMostWaitNanoseconds = 4'000'000'000;

// threadIdx.x, as something that the compiler does not know to be the same as before.
inline __device__ unsigned thread_anew() {
  unsigned thread;
  asm volatile("mov.u32 %0, %tid.x;" : "=r"(thread));
  return thread;
}

// ---- barriers

// arrive() without a branch, which products at work would be in the way of.
inline __device__ void arrive_if(bool condition, std::uint64_t* b) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %1, 0;\n"
      "@p mbarrier.arrive.shared::cta.b64 _, [%0];\n}" ::"r"(shared_address(b)),
      "r"(static_cast<int>(condition))
      : "memory");
}
inline __device__ std::uint64_t nanoseconds() {
  std::uint64_t now;
  asm volatile("mov.u64 %0, %globaltimer;" : "=l"(now));
  return now;
}
// Ends the kernel with an error. (A trap would keep the compiler from giving a warpgroup more
// registers than a kernel starts with.)
inline __device__ void fault() {
  asm volatile("st.global.u32 [%0], %1;" ::"l"(std::uint64_t{0}), "r"(0) : "memory");
}
inline __device__ void wait_for(std::uint64_t* b, std::uint32_t parity) {
  if (has_turned(b, parity)) return;
  const std::uint64_t start = nanoseconds();
  while (!has_turned(b, parity))
    if (nanoseconds() - start > kMostWaitNanoseconds) fault();
}

// ---- copies

// Columns from x and rows from y of the map's matrix, a box of the map's size.
inline __device__ void copy_box(void* to, const CUtensorMap* map, int x, int y, std::uint64_t* b) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%3, "
      "%4}], [%2];" ::"r"(shared_address(to)),
      "l"(map), "r"(shared_address(b)), "r"(x), "r"(y)
      : "memory");
}
inline __device__ void prefetch_map(const CUtensorMap* map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(map) : "memory");
}
// What this thread wrote to shared memory is seen by products and copies after the next barrier.
inline __device__ void publish_shared() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// ---- registers a thread, moved between the warpgroups of a block

template <int kCount>
__device__ void give_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kCount));
}
template <int kCount>
__device__ void take_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kCount));
}

// ---- products of a warpgroup

// Rows of 128 bytes in shared memory, 16-byte pieces of row r exchanged by piece ^ r % 8, 1024-byte
// aligned: what a tensor copy with a swizzle of 128 bytes leaves. Rows follow one another, so eight
// of them are 1024 bytes on. Valid whichever of the two dimensions is summed over.
inline __device__ std::uint64_t describe(const void* rows) {
  constexpr std::uint64_t kSwizzle128 = std::uint64_t{1} << 62;
  constexpr std::uint64_t kEightRows = std::uint64_t{1024 >> 4} << 32;
  constexpr std::uint64_t kUnused = std::uint64_t{1} << 16;
  return kSwizzle128 | kEightRows | kUnused | ((shared_address(rows) & 0x3ffff) >> 4);
}
// `bytes` further on.
inline __device__ std::uint64_t advance(std::uint64_t description, int bytes) {
  return description + static_cast<std::uint64_t>(bytes >> 4);
}

inline __device__ void begin_products() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}
inline __device__ void end_products() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}
// Until at most the kYoungest last groups are at work.
template <int kYoungest>
__device__ void wait_products() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kYoungest) : "memory");
}
// The compiler may move nothing that uses these registers across this.
template <typename T, int kCount>
__device__ void hold(T (&registers)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) {
    if constexpr (sizeof(T) == 4 && T(0.5) != T(0))
      asm volatile("" : "+f"(registers[i])::"memory");
    else
      asm volatile("" : "+r"(registers[i])::"memory");
  }
}

// sums[64][128] (+)= A[64][16] B[128][16]^T, both from shared memory, rows of A and B described.
// Thread 32w + 4g + t holds in sums[4j + i] row 16w + g + 8(i / 2), column 8j + 2t + i % 2.
inline __device__ void multiply_64x128x16(float (&sums)[64], std::uint64_t a, std::uint64_t b,
                                          bool adds) {
  asm volatile(
      "{\n.reg .pred adds;\nsetp.ne.b32 adds, %66, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
      "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
      "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
      "%64, %65, adds, 1, 1, 0, 0;\n}"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3]), "+f"(sums[4]), "+f"(sums[5]),
        "+f"(sums[6]), "+f"(sums[7]), "+f"(sums[8]), "+f"(sums[9]), "+f"(sums[10]), "+f"(sums[11]),
        "+f"(sums[12]), "+f"(sums[13]), "+f"(sums[14]), "+f"(sums[15]), "+f"(sums[16]),
        "+f"(sums[17]), "+f"(sums[18]), "+f"(sums[19]), "+f"(sums[20]), "+f"(sums[21]),
        "+f"(sums[22]), "+f"(sums[23]), "+f"(sums[24]), "+f"(sums[25]), "+f"(sums[26]),
        "+f"(sums[27]), "+f"(sums[28]), "+f"(sums[29]), "+f"(sums[30]), "+f"(sums[31]),
        "+f"(sums[32]), "+f"(sums[33]), "+f"(sums[34]), "+f"(sums[35]), "+f"(sums[36]),
        "+f"(sums[37]), "+f"(sums[38]), "+f"(sums[39]), "+f"(sums[40]), "+f"(sums[41]),
        "+f"(sums[42]), "+f"(sums[43]), "+f"(sums[44]), "+f"(sums[45]), "+f"(sums[46]),
        "+f"(sums[47]), "+f"(sums[48]), "+f"(sums[49]), "+f"(sums[50]), "+f"(sums[51]),
        "+f"(sums[52]), "+f"(sums[53]), "+f"(sums[54]), "+f"(sums[55]), "+f"(sums[56]),
        "+f"(sums[57]), "+f"(sums[58]), "+f"(sums[59]), "+f"(sums[60]), "+f"(sums[61]),
        "+f"(sums[62]), "+f"(sums[63])
      : "l"(a), "l"(b), "r"(static_cast<int>(adds)));
}

// sums[64][64] += A[64][16] B[16][64]: A from registers, in the order of sums' pairs; rows of B
// described.
inline __device__ void multiply_64x64x16(float (&sums)[32], const std::uint32_t* a,
                                         std::uint64_t b) {
  asm volatile(
      "{\n.reg .pred adds;\nsetp.eq.b32 adds, 1, 1;\n"
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
      "{%32, %33, %34, %35}, %36, adds, 1, 1, 1;\n}"
      : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3]), "+f"(sums[4]), "+f"(sums[5]),
        "+f"(sums[6]), "+f"(sums[7]), "+f"(sums[8]), "+f"(sums[9]), "+f"(sums[10]), "+f"(sums[11]),
        "+f"(sums[12]), "+f"(sums[13]), "+f"(sums[14]), "+f"(sums[15]), "+f"(sums[16]),
        "+f"(sums[17]), "+f"(sums[18]), "+f"(sums[19]), "+f"(sums[20]), "+f"(sums[21]),
        "+f"(sums[22]), "+f"(sums[23]), "+f"(sums[24]), "+f"(sums[25]), "+f"(sums[26]),
        "+f"(sums[27]), "+f"(sums[28]), "+f"(sums[29]), "+f"(sums[30]), "+f"(sums[31])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

}  // namespace millrace::cuda::hopper
