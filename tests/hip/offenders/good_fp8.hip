// The words for FP8 are the hardware's instructions, in its encoding, and cut off what is too large.
// target: gfx942
// target: gfx950
// declared: - 8 0
// holds: v_cvt_pk_fp8_f32
// holds: v_cvt_pk_f32_fp8
// holds: v_med3_f32
#include "common.h"

#define MILLRACE_GPU hip
#include "device/gpu/gpu_fp8.h"

namespace gpu = millrace::gpu;
#if defined(__gfx942__)
static_assert(gpu::kFp8 == millrace::Fp8::Fnuz);
#elif defined(__gfx950__)
static_assert(gpu::kFp8 == millrace::Fp8::Ocp);
#endif

__global__ void __launch_bounds__(256) offender(const Floats4* in, std::uint32_t* out) {
  const Floats4 x = in[threadIdx.x];
  float back[4];
  gpu::unpack_fp8(gpu::pack_fp8(x[0], x[1], x[2], x[3]), back);
  out[threadIdx.x] = gpu::pack_fp8(back[0] * x[1], back[1] * x[0], back[2] * x[3], back[3] * x[2]);
}
