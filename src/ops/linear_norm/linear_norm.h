// How a kernel for linear_norm_params.h is chosen. Optional: where no kernel exists, the model does
// the same with the plain ops.
#pragma once

#include <span>
#include <string>

#include "ops/kernel_registry.h"
#include "ops/linear_norm/linear_norm_params.h"
#include "tensor/dtype.h"

namespace millrace {

struct LinearNorm {
  static constexpr std::string_view kName = "linear_norm";
  struct Key {
    DType weight;
    DType activation;
    std::int64_t n;
    std::int64_t k;
    std::int64_t rows;  // the most of a call
  };
  using Params = LinearNormParams;
  using Launch = void (*)(const LinearNormParams&, Stream&);
};

std::string to_string(const LinearNorm::Key& key);
std::span<const KernelSpec<LinearNorm>> kernels_of(LinearNorm);

}  // namespace millrace
