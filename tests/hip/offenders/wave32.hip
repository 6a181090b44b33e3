// The instruction sets of graphics cards have waves of 32 lanes.
// target: gfx1100
// declared: - 1 0
// found: is for gfx1100; expected gfx942 or gfx950
// found: has waves of 32 lanes, expected 64
#include "common.h"

__global__ void __launch_bounds__(256) offender(float* out) { out[threadIdx.x] = 1.0f; }
