// How a kernel for linear_params.h is chosen.
#pragma once

#include <span>
#include <string>

#include "ops/kernel_registry.h"
#include "ops/linear/linear_params.h"
#include "tensor/dtype.h"

namespace millrace {

struct Linear {
  static constexpr std::string_view kName = "linear";
  struct Key {
    DType weight;
    DType activation;
    std::int64_t n;
    std::int64_t k;
  };
  using Params = LinearParams;
  using Launch = void (*)(const LinearParams&, Stream&);
};

std::string to_string(const Linear::Key& key);
std::span<const KernelSpec<Linear>> kernels_of(Linear);

}  // namespace millrace
