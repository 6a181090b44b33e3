#include "ops/linear/linear_tiles.h"

namespace millrace::MILLRACE_ISA {

void linear_block_of_quants(const LinearBlock& block);

void linear_block_of_quants(const LinearBlock& block) {
  switch (block.dtype) {
    case DType::Q8_0:
      return run<DType::Q8_0>(block);
    case DType::Q4_0:
      return run<DType::Q4_0>(block);
    case DType::Q4_1:
      return run<DType::Q4_1>(block);
    case DType::Q5_0:
      return run<DType::Q5_0>(block);
    case DType::Q5_1:
      return run<DType::Q5_1>(block);
    case DType::Q4_K:
      return run<DType::Q4_K>(block);
    case DType::Q5_K:
      return run<DType::Q5_K>(block);
    case DType::Q6_K:
      return run<DType::Q6_K>(block);
    default:
      return;  // the registry refuses everything else
  }
}

}  // namespace millrace::MILLRACE_ISA
