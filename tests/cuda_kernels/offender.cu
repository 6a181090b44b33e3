// Kernels that tools/gpu/check_cuda_kernels must not let pass.

// More values at once than two blocks of 1024 threads leave registers for: it spills.
__global__ void __launch_bounds__(1024, 2) spiller(const float* in, float* out) {
  float held[96];
#pragma unroll
  for (int i = 0; i < 96; ++i) held[i] = in[i * 1024 + threadIdx.x];
  __syncthreads();
#pragma unroll
  for (int turn = 0; turn < 3; ++turn)
#pragma unroll
    for (int i = 0; i < 96; ++i) held[i] = fmaf(held[i], held[(i * 7 + turn) % 96], 1.0f);
#pragma unroll
  for (int i = 0; i < 96; ++i) out[i * 1024 + threadIdx.x] = held[i];
}

// Declared to use a warpgroup's products.
__global__ void plain(float* out) {
  out[threadIdx.x] = 1.0f;
}

// Not declared.
__global__ void stranger(float* out) {
  out[threadIdx.x] = 2.0f;
}
