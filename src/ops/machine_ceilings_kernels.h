// The loops behind machine_ceilings.cc, one set an instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

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

}  // namespace millrace
