// How a kernel for rms_norm_params.h is chosen.
#pragma once

#include <span>
#include <string>

#include "ops/kernel_registry.h"
#include "ops/rms_norm/rms_norm_params.h"
#include "tensor/dtype.h"

namespace millrace {

struct RmsNorm {
  static constexpr std::string_view kName = "rms_norm";
  struct Key {
    DType activation;
    std::int64_t columns;
  };
  using Params = RmsNormParams;
  using Launch = void (*)(const RmsNormParams&, Stream&);
};

std::string to_string(const RmsNorm::Key& key);
std::span<const KernelSpec<RmsNorm>> kernels_of(RmsNorm);

}  // namespace millrace
