// How a kernel for moe_route_params.h is chosen.
#pragma once

#include <span>
#include <string>

#include "ops/kernel_registry.h"
#include "ops/moe_route/moe_route_params.h"
#include "tensor/dtype.h"

namespace millrace {

struct MoeRoute {
  static constexpr std::string_view kName = "moe_route";
  struct Key {
    DType activation;
    int experts;
    int top_k;
  };
  using Params = MoeRouteParams;
  using Launch = void (*)(const MoeRouteParams&, Stream&);
};

std::string to_string(const MoeRoute::Key& key);
std::span<const KernelSpec<MoeRoute>> kernels_of(MoeRoute);

}  // namespace millrace
