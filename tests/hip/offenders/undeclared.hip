// A kernel that the table of expectations does not know; "declared" has another's name.
// target: gfx942
// declared: - 8 0
// found: stranger on gfx942 is not declared in the table of expectations
// found: no kernel fits offender
#include "common.h"

__global__ void __launch_bounds__(256) stranger(float* out) { out[threadIdx.x] = 1.0f; }
