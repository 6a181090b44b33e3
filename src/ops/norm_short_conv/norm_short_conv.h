// How a kernel for norm_short_conv_params.h is chosen. Optional: where no kernel exists, the model
// does the same with the plain ops.
#pragma once

#include <span>
#include <string>

#include "ops/kernel_registry.h"
#include "ops/norm_short_conv/norm_short_conv_params.h"
#include "tensor/dtype.h"

namespace millrace {

struct NormShortConv {
  static constexpr std::string_view kName = "norm_short_conv";
  static constexpr std::int64_t kMostRows = 8;
  struct Key {
    DType weight;
    DType out;
    std::int64_t n;  // channels
    std::int64_t k;
    int taps;
  };
  using Params = NormShortConvParams;
  using Launch = void (*)(const NormShortConvParams&, Stream&);
};

std::string to_string(const NormShortConv::Key& key);
std::span<const KernelSpec<NormShortConv>> kernels_of(NormShortConv);

}  // namespace millrace
