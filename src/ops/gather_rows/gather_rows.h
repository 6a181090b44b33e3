// How a kernel for gather_rows_params.h is chosen.
#pragma once

#include <span>
#include <string>

#include "ops/gather_rows/gather_rows_params.h"
#include "ops/kernel_registry.h"
#include "tensor/dtype.h"

namespace millrace {

struct GatherRows {
  static constexpr std::string_view kName = "gather_rows";
  struct Key {
    DType activation;
    std::int64_t columns;
  };
  using Params = GatherRowsParams;
  using Launch = void (*)(const GatherRowsParams&, Stream&);
};

std::string to_string(const GatherRows::Key& key);
std::span<const KernelSpec<GatherRows>> kernels_of(GatherRows);

}  // namespace millrace
