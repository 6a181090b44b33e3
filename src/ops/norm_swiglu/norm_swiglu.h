// How a kernel for norm_swiglu_params.h is chosen. Optional: where no kernel exists, the model does
// the same with the plain ops.
#pragma once

#include <span>
#include <string>

#include "ops/kernel_registry.h"
#include "ops/norm_swiglu/norm_swiglu_params.h"
#include "tensor/dtype.h"

namespace millrace {

struct NormSwiglu {
  static constexpr std::string_view kName = "norm_swiglu";
  static constexpr std::int64_t kFewRows = 8;     // of a step of few decodes
  static constexpr std::int64_t kBatchRows = 64;  // and of a batch
  struct Key {
    DType weight;
    DType out;
    std::int64_t n;
    std::int64_t k;
    std::int64_t rows;  // the most of a call
  };
  using Params = NormSwigluParams;
  using Launch = void (*)(const NormSwigluParams&, Stream&);
};

std::string to_string(const NormSwiglu::Key& key);
std::span<const KernelSpec<NormSwiglu>> kernels_of(NormSwiglu);

}  // namespace millrace
