// How a kernel for norm_linear_params.h is chosen. Optional: where no kernel exists, the model does
// the same with the plain ops.
#pragma once

#include <span>
#include <string>

#include "ops/kernel_registry.h"
#include "ops/norm_linear/norm_linear_params.h"
#include "tensor/dtype.h"

namespace millrace {

struct NormLinear {
  static constexpr std::string_view kName = "norm_linear";
  static constexpr std::int64_t kFewRows = 8;     // of a step of few decodes
  static constexpr std::int64_t kBatchRows = 16;  // and of a batch
  struct Key {
    DType weight;
    DType out;
    std::int64_t n;
    std::int64_t k;
    std::int64_t rows;  // the most of a call
  };
  using Params = NormLinearParams;
  using Launch = void (*)(const NormLinearParams&, Stream&);
};

std::string to_string(const NormLinear::Key& key);
std::span<const KernelSpec<NormLinear>> kernels_of(NormLinear);

}  // namespace millrace
