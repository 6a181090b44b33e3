// Loads straight to LDS in the form that emulators do not know.
// target: gfx942
// declared: - 1 0
// found: loads straight to LDS by global_load_lds
#include "common.h"

__global__ void __launch_bounds__(64) offender(const float* in, float* out) {
  __shared__ float shared[64];
  using Global = __attribute__((address_space(1))) void;
  using Shared = __attribute__((address_space(3))) void;
  __builtin_amdgcn_global_load_lds((Global*)const_cast<float*>(in + threadIdx.x), (Shared*)shared, 4, 0, 0);
  __syncthreads();
  out[threadIdx.x] = shared[63 - threadIdx.x];
}
