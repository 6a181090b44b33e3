#include "ops/silu_mul/silu_mul.h"

#include "ops/silu_mul/silu_mul_kernels.h"

namespace millrace {

std::string to_string(const SiluMul::Key& key) {
  return fmt::format("{} columns {}", to_string(key.activation), key.columns);
}

std::span<const KernelSpec<SiluMul>> kernels_of(SiluMul) {
  static const std::vector<KernelSpec<SiluMul>> kAll = join_kernels<SiluMul>(
      {reference_silu_mul_kernels(), cpu_silu_mul_kernels(), cuda::silu_mul_kernels(),
       hip::silu_mul_kernels(), emulated::silu_mul_kernels()});
  return kAll;
}

}  // namespace millrace
