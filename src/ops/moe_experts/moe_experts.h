// out[t] += sum over the token's experts e, in ascending order, of
//   weight_e * W2_e (silu(W1_e in[t]) * W3_e in[t])          (spec 6, step 8)
// Only the chosen experts' weights are read; rows are grouped by expert.
#pragma once

#include <span>
#include <string>

#include "ops/kernel_registry.h"
#include "ops/matrix_view.h"
#include "tensor/tensor_view.h"

namespace millrace {

// One expert's matrices; the experts of a layer agree in types and shapes.
struct ExpertView {
  TensorView w1;  // gate [width, hidden]
  TensorView w3;  // up   [width, hidden]
  TensorView w2;  // down [hidden, width]
};

struct MoeExpertsParams {
  MatrixView in;              // [rows, hidden]
  const ExpertView* experts;  // [expert_count]
  int expert_count;
  const std::int32_t* chosen;  // [rows][top_k], ascending in a row
  const float* weights;        // [rows][top_k]
  int top_k;
  MatrixView out;  // [rows, hidden], added to
  std::int64_t rows;
  std::int64_t width;
  // moe_experts_workspace_bytes() of memory that nobody else uses meanwhile.
  void* workspace;
};

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
// values, and the lists that group rows by expert.
std::size_t moe_experts_workspace_bytes(std::int64_t max_rows, int top_k, int experts,
                                        std::int64_t hidden, std::int64_t width);

}  // namespace millrace
