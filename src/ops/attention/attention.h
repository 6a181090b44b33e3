// How a kernel for attention_params.h is chosen.
#pragma once

#include <span>
#include <string>

#include "ops/attention/attention_params.h"
#include "ops/kernel_registry.h"
#include "tensor/dtype.h"

namespace millrace {

struct Attention {
  static constexpr std::string_view kName = "attention";
  struct Key {
    DType activation;
    DType kv;
    int head_dim;
    int group;  // heads / kv_heads
  };
  using Params = AttentionParams;
  using Launch = void (*)(const AttentionParams&, Stream&);
};

std::string to_string(const Attention::Key& key);
std::span<const KernelSpec<Attention>> kernels_of(Attention);

}  // namespace millrace
