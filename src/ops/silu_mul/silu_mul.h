// out = silu(gate) * up, silu(x) = x / (1 + exp(-x)) (spec 4.5).
#pragma once

#include <span>
#include <string>

#include "ops/kernel_registry.h"
#include "ops/matrix_view.h"

namespace millrace {

struct SiluMulParams {
  MatrixView gate;
  MatrixView up;
  MatrixView out;  // may be `gate`
  std::int64_t rows;
};

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
