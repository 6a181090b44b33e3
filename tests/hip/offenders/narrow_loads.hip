// Streams its input in loads of four bytes.
// target: gfx942
// declared: stream 8 0
// found: has no 16-byte load
#include "common.h"

__global__ void __launch_bounds__(256) offender(const float* in, float* out, int count) {
  for (int i = threadIdx.x; i < count; i += 256) out[i] = 2.0f * in[i];
}
