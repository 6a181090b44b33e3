// A product on the vector units, declared to be one on the matrix units.
// target: gfx950
// declared: matrix 8 0
// found: has no matrix instruction
#include "common.h"

__global__ void __launch_bounds__(256) offender(const float* a, const float* b, float* out, int k) {
  float sum = 0;
  for (int i = 0; i < k; ++i) sum = fmaf(a[i], b[i * 256 + threadIdx.x], sum);
  out[threadIdx.x] = sum;
}
