// How a kernel for packed_linear_params.h is chosen.
#pragma once

#include <span>
#include <string>

#include "ops/kernel_registry.h"
#include "ops/packed_linear/packed_linear_params.h"

namespace millrace {

struct PackedLinear {
  static constexpr std::string_view kName = "packed_linear";
  struct Key {
    DType weight;  // as stored
    DType activation;
    std::int64_t n;
    std::int64_t k;
  };
  using Params = PackedLinearParams;
  using Launch = void (*)(const PackedLinearParams&, Stream&);
};

std::string to_string(const PackedLinear::Key& key);
std::span<const KernelSpec<PackedLinear>> kernels_of(PackedLinear);

}  // namespace millrace
