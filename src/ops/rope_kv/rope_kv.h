// How a kernel for rope_kv_params.h is chosen.
#pragma once

#include <span>
#include <string>

#include "ops/kernel_registry.h"
#include "ops/rope_kv/rope_kv_params.h"
#include "tensor/dtype.h"

namespace millrace {

struct RopeKv {
  static constexpr std::string_view kName = "rope_kv";
  struct Key {
    DType activation;
    DType kv;
    int head_dim;
  };
  using Params = RopeKvParams;
  using Launch = void (*)(const RopeKvParams&, Stream&);
};

std::string to_string(const RopeKv::Key& key);
std::span<const KernelSpec<RopeKv>> kernels_of(RopeKv);

}  // namespace millrace
