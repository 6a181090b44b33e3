// How a kernel for silu_mul_params.h is chosen.
#pragma once

#include <span>
#include <string>

#include "ops/kernel_registry.h"
#include "ops/silu_mul/silu_mul_params.h"
#include "tensor/dtype.h"

namespace millrace {

struct SiluMul {
  static constexpr std::string_view kName = "silu_mul";
  struct Key {
    DType activation;
    std::int64_t columns;
  };
  using Params = SiluMulParams;
  using Launch = void (*)(const SiluMulParams&, Stream&);
};

std::string to_string(const SiluMul::Key& key);
std::span<const KernelSpec<SiluMul>> kernels_of(SiluMul);

}  // namespace millrace
