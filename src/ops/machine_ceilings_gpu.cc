#include "ops/machine_ceilings_gpu.h"

#include "ops/machine_ceilings_kernels.h"

namespace millrace::MILLRACE_GPU {

GpuCeilingKernels gpu_ceiling_kernels() {
  return {read_memory, copy_memory};
}

}  // namespace millrace::MILLRACE_GPU
