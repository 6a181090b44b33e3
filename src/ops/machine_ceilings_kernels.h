// The loops behind machine_ceilings.cc, one set an instruction set, and one a GPU backend.
#pragma once

#include <cstddef>
#include <cstdint>

#include "device/device.h"

namespace millrace {

struct CeilingKernels {
  float (*read)(const float* from, std::size_t count);  // count a multiple of 256
  float (*multiply_add)(std::int64_t rounds);
  std::int64_t flops_per_round;
};

namespace baseline {
CeilingKernels ceiling_kernels();
}
namespace avx2 {
CeilingKernels ceiling_kernels();
}
namespace avx512 {
CeilingKernels ceiling_kernels();
}

// Queue passes over `bytes` of a device's memory, a multiple of 16; null where a backend is absent.
struct GpuCeilingKernels {
  void (*read)(const void* from, std::int64_t bytes, std::uint32_t* sink, Stream& stream) = nullptr;
  void (*copy)(const void* from, void* to, std::int64_t bytes, Stream& stream) = nullptr;
};

namespace cuda {
GpuCeilingKernels gpu_ceiling_kernels();
}
namespace hip {
GpuCeilingKernels gpu_ceiling_kernels();
}
namespace emulated {
GpuCeilingKernels gpu_ceiling_kernels();
}

}  // namespace millrace
