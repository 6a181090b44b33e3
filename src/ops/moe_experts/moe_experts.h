// How a kernel for moe_experts_params.h is chosen.
#pragma once

#include <span>
#include <string>

#include "ops/kernel_registry.h"
#include "ops/moe_experts/moe_experts_params.h"
#include "tensor/dtype.h"

namespace millrace {

struct MoeExperts {
  static constexpr std::string_view kName = "moe_experts";
  struct Key {
    DType gate_up;  // of w1 and w3
    DType down;     // of w2: mixed quantisations keep it finer
    DType activation;
    std::int64_t hidden;
    std::int64_t width;
  };
  using Params = MoeExpertsParams;
  using Launch = void (*)(const MoeExpertsParams&, Stream&);
};

std::string to_string(const MoeExperts::Key& key);
std::span<const KernelSpec<MoeExperts>> kernels_of(MoeExperts);

// Enough for any kernel: per (row, expert) pair one row of gate, one of up and one of hidden
// values, one of the input in BF16, and the lists that group rows by expert.
std::size_t moe_experts_workspace_bytes(std::int64_t max_rows, int top_k, int experts,
                                        std::int64_t hidden, std::int64_t width);

}  // namespace millrace
