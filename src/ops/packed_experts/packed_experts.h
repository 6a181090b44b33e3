// How a kernel for packed_experts_params.h is chosen.
#pragma once

#include <span>
#include <string>

#include "ops/kernel_registry.h"
#include "ops/moe_experts/moe_experts.h"
#include "ops/packed_experts/packed_experts_params.h"

namespace millrace {

struct PackedExperts {
  static constexpr std::string_view kName = "packed_experts";
  using Key = MoeExperts::Key;  // types as stored
  using Params = PackedExpertsParams;
  using Launch = void (*)(const PackedExpertsParams&, Stream&);
};

std::span<const KernelSpec<PackedExperts>> kernels_of(PackedExperts);

}  // namespace millrace
