// How a kernel for short_conv_params.h is chosen.
#pragma once

#include <span>
#include <string>

#include "ops/kernel_registry.h"
#include "ops/short_conv/short_conv_params.h"
#include "tensor/dtype.h"

namespace millrace {

struct ShortConv {
  static constexpr std::string_view kName = "short_conv";
  struct Key {
    DType activation;
    std::int64_t channels;
    int taps;
  };
  using Params = ShortConvParams;
  using Launch = void (*)(const ShortConvParams&, Stream&);
};

std::string to_string(const ShortConv::Key& key);
std::span<const KernelSpec<ShortConv>> kernels_of(ShortConv);

}  // namespace millrace
