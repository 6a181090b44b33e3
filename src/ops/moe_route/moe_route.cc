#include "ops/moe_route/moe_route.h"

#include "ops/moe_route/moe_route_kernels.h"

namespace millrace {

std::string to_string(const MoeRoute::Key& key) {
  return fmt::format("{} experts {}, top {}", to_string(key.activation), key.experts, key.top_k);
}

std::span<const KernelSpec<MoeRoute>> kernels_of(MoeRoute) {
  static const std::vector<KernelSpec<MoeRoute>> kAll = join_kernels<MoeRoute>(
      {reference_moe_route_kernels(), cpu_moe_route_kernels(), cuda::moe_route_kernels(),
       hip::moe_route_kernels(), emulated::moe_route_kernels()});
  return kAll;
}

}  // namespace millrace
