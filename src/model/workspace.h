// Memory for the activations of one step, allocated once for the largest step there may be.
#pragma once

#include <cstdint>

#include "device/device.h"
#include "model/config.h"
#include "ops/matrix_view.h"
#include "ops/norm_scratch.h"

namespace millrace {

// What a device computes a model in: F32 where it uses the host's memory (a CPU), and for F32
// models; else BF16 between ops, with the residual stream and logits in F32.
DType activation_dtype(const Device& device, const ModelConfig& config);

class Workspace {
 public:
  // Steps of at most max_rows tokens, of which at most max_logit_rows give logits.
  Workspace(Device& device, const ModelConfig& config, std::int64_t max_rows,
            std::int64_t max_logit_rows);

  // What the constructor allocates, for `inspect`.
  static std::int64_t bytes_for(const ModelConfig& config, DType activation, std::int64_t max_rows,
                                std::int64_t max_logit_rows);

  std::int64_t max_rows() const { return max_rows_; }
  std::int64_t max_logit_rows() const { return max_logit_rows_; }

  MatrixView residual;  // [rows, hidden]: the stream that layers add to
  MatrixView normed;    // [rows, hidden]
  MatrixView wide;      // [rows, widest]: conv gates, q|k|v, or gate|up
  MatrixView mixed;     // [rows, max(hidden, heads*head_dim)]: what the output product reads
  MatrixView logits;    // [logit rows, vocab]
  // The rows of `residual` and `mixed` that give logits, where the last layer goes on with those
  // alone.
  MatrixView last_residual;  // [logit rows, hidden]
  MatrixView last_mixed;     // [logit rows, max(hidden, heads*head_dim)]
  // In `normed`, whose type is then BF16.
  NormScratch norm_scratch() const { return {static_cast<BF16*>(normed.data), squares}; }
  float* squares = nullptr;          // [rows][hidden / 64]
  MatrixView router;                 // [rows, experts]
  std::int32_t* chosen = nullptr;    // [rows][top_k]
  float* chosen_weights = nullptr;   // [rows][top_k]
  void* attention_memory = nullptr;  // attention_workspace_bytes(); zero between uses
  void* expert_memory = nullptr;     // moe_experts_workspace_bytes()
  void* sample_memory = nullptr;     // sample_workspace_bytes()

 private:
  std::int64_t max_rows_;
  std::int64_t max_logit_rows_;
  DeviceBuffer memory_;
};

}  // namespace millrace
