#include "ops/linear/linear_tiles.h"

namespace millrace::MILLRACE_ISA {

// In linear_quants_simd.cc: two halves compile at once, and each in less memory.
void linear_block_of_quants(const LinearBlock& block);

void linear_block(const LinearBlock& block) {
  switch (block.dtype) {
    case DType::F32:
      return run<DType::F32>(block);
    case DType::F16:
      return run<DType::F16>(block);
    case DType::BF16:
      return run<DType::BF16>(block);
    default:
      return linear_block_of_quants(block);
  }
}

}  // namespace millrace::MILLRACE_ISA
