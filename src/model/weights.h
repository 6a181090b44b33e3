// A model's weights, checked, where the device's kernels read them.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "device/device.h"
#include "model/config.h"
#include "ops/linear/linear.h"
#include "ops/moe_experts/moe_experts.h"
#include "ops/packed_experts/packed_experts.h"
#include "ops/packed_linear/packed_linear.h"
#include "tensor/tensor_view.h"

namespace millrace {

// A matrix [out, in], its optional bias, and the kernel chosen for its type and shape.
struct MatrixWeight {
  TensorView weight;
  const float* bias = nullptr;
  const KernelSpec<Linear>* kernel = nullptr;  // set by Lfm2::make
  // Where a CPU has a kernel for packed weights, they instead; set by Lfm2::make.
  const KernelSpec<PackedLinear>* packed_kernel = nullptr;
  PackedView packed;
};

struct ConvWeights {
  MatrixWeight in_proj;
  const float* kernel =
      nullptr;  // [taps][hidden]: transposed from the file, lanes run over channels
  const float* bias = nullptr;
  MatrixWeight out_proj;
};

struct AttentionWeights {
  MatrixWeight q, k, v, out;
  MatrixWeight qkv;  // the three as one, where they lie one behind the other (GPUs)
  const float* q_norm = nullptr;
  const float* k_norm = nullptr;
};

struct MlpWeights {
  MatrixWeight w1, w3, w2;  // gate, up, down
  MatrixWeight w13;         // gate and up as one, where up lies behind gate (GPUs)
};

struct MoeWeights {
  MatrixWeight router;
  const float* bias = nullptr;
  std::vector<ExpertView> experts;
  const KernelSpec<MoeExperts>* kernel = nullptr;  // set by Lfm2::make
  // As in MatrixWeight.
  const KernelSpec<PackedExperts>* packed_kernel = nullptr;
  std::vector<PackedExpertView> packed;
};

struct LayerWeights {
  const float* operator_norm = nullptr;
  const float* ffn_norm = nullptr;
  std::optional<ConvWeights> conv;  // exactly one of conv and attention
  std::optional<AttentionWeights> attention;
  std::optional<MlpWeights> mlp;  // exactly one of mlp and moe
  std::optional<MoeWeights> moe;

  // How the bulk of the layer is stored, for reports.
  DType ffn_dtype() const { return moe ? moe->experts.front().w1.dtype : mlp->w1.weight.dtype; }
};

struct ModelWeights {
  TensorView embedding;
  std::vector<LayerWeights> layers;
  const float* final_norm = nullptr;
  MatrixWeight head;

  // Owners of what the views point to.
  std::shared_ptr<const Checkpoint> checkpoint;  // mapped files, where kernels read host memory
  std::vector<DeviceBuffer> buffers;             // small vectors, and copies on other devices

  std::int64_t bytes = 0;  // of all tensors of the text model as stored
  // Read for one decoded token at batch 1: every matrix once, of the experts the chosen ones.
  std::int64_t bytes_per_token = 0;
};

// Binds every tensor of the config. Nothing is copied where the device reads host memory, but for
// vectors (norms, biases, conv kernels), which become float.
Result<ModelWeights> bind_weights(const ModelConfig& config,
                                  std::shared_ptr<const Checkpoint> checkpoint, Device& device);

}  // namespace millrace
