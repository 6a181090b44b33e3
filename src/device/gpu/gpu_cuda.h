// NVIDIA's side of gpu.h; included by it alone.
#pragma once

#include <cuda_runtime.h>

#include "device/cuda/cuda_stream.h"

#define MILLRACE_GPU_WORDS on_nvidia

namespace millrace::gpu {
inline namespace MILLRACE_GPU_WORDS {

constexpr int kWave = 32;

template <typename T>
__device__ T shuffle(T value, int lane) {
  return __shfl_sync(0xffffffffu, value, lane);
}
template <typename T>
__device__ T shuffle_xor(T value, int mask) {
  return __shfl_xor_sync(0xffffffffu, value, mask);
}
inline __device__ bool any_lane(bool condition) {
  return __any_sync(0xffffffffu, condition);
}
inline __device__ float exp2_fast(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}
inline __device__ void sync_wave() {
  __syncwarp();
}

inline __device__ Bits16 load_once(const void* p) {
  Bits16 v;
  asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(p));
  return v;
}

inline __device__ void copy_async(void* shared, const void* global) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(
                   static_cast<std::uint32_t>(__cvta_generic_to_shared(shared))),
               "l"(global)
               : "memory");
}
inline __device__ void end_copies() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}
template <int kYoungest>
__device__ void wait_copies() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kYoungest) : "memory");
}

inline __device__ void prefetch_l2(const void* p) {
  asm volatile("prefetch.global.L2 [%0];" ::"l"(p));
}

inline __device__ float float_of_bits(std::uint32_t bits) {
  return __uint_as_float(bits);
}
inline __device__ std::uint32_t bits_of_float(float x) {
  return __float_as_uint(x);
}
inline __device__ std::uint32_t pack_bf16(float low, float high) {
  std::uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

template <typename T>
__device__ T add_atomic(T* p, T value) {
  return atomicAdd(p, value);
}

inline __device__ void fence() {
  __threadfence();
}

inline __device__ std::byte* dynamic_shared() {
  extern __shared__ __align__(16) std::byte millrace_dynamic_shared[];
  return millrace_dynamic_shared;
}

inline __device__ void wait_for_previous() {
  asm volatile("griddepcontrol.wait;" ::: "memory");
}
inline __device__ void let_next_start() {
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
}

inline int multiprocessors(Stream& stream) {
  return static_cast<cuda::CudaStream&>(stream).multiprocessors();
}

// Throws DeviceError. A kernel that takes more than 48 KiB of shared memory is told so here.
template <typename... Parameters, typename... Arguments>
void launch(void (*kernel)(Parameters...), const LaunchShape& shape, Stream& stream,
            Arguments... arguments) {
  if (shape.shared_bytes > 48 * 1024)
    cuda::require(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                       cudaFuncAttributeMaxDynamicSharedMemorySize,
                                       static_cast<int>(shape.shared_bytes)),
                  "more shared memory for a kernel");
  cudaLaunchConfig_t config = {};
  config.gridDim = {shape.grid.x, shape.grid.y, shape.grid.z};
  config.blockDim = {shape.block.x, shape.block.y, shape.block.z};
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = cuda::handle_of(stream);
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  attribute.val.programmaticStreamSerializationAllowed = 1;
  config.attrs = &attribute;
  config.numAttrs = shape.overlaps ? 1 : 0;
  cuda::require(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...),
                "a kernel launch");
}

}  // namespace MILLRACE_GPU_WORDS
}  // namespace millrace::gpu
