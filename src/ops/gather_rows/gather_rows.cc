#include "ops/gather_rows/gather_rows.h"

#include "ops/gather_rows/gather_rows_kernels.h"

namespace millrace {

std::string to_string(const GatherRows::Key& key) {
  return fmt::format("{} columns {}", to_string(key.activation), key.columns);
}

std::span<const KernelSpec<GatherRows>> kernels_of(GatherRows) {
  static const std::vector<KernelSpec<GatherRows>> kAll =
      join_kernels<GatherRows>({reference_gather_rows_kernels(), cuda::gather_rows_kernels(),
                                hip::gather_rows_kernels(), emulated::gather_rows_kernels()});
  return kAll;
}

}  // namespace millrace
