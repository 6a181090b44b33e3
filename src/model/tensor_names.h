// Which tensors a model has, under one canonical spelling: the names of spec 2.1 without their
// leading "model.". Checkpoints spell them in several ways; TensorResolver knows all of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "model/config.h"
#include "tensor/tensor_view.h"

namespace millrace {

enum class TensorRole {
  Embedding,  // also the head when tied
  Head,
  Norm,        // a vector near 1
  ConvKernel,  // [hidden, 1, K]
  Matrix,      // [out, in]
  Bias,
  Router,      // the MoE gate
  ExpertBias,  // added to expert scores for the choice alone; always F32
};

struct TensorSpec {
  std::string name;  // "layers.3.conv.in_proj.weight"
  Shape shape;
  TensorRole role;
};

// Every tensor of the text model, in the order of the forward pass. Experts one by one.
std::vector<TensorSpec> tensor_specs(const ModelConfig& config);

// Parameters in all: the sum over tensor_specs().
std::int64_t parameter_count(const ModelConfig& config);

// Where GGUF files keep a canonical tensor.
struct GgufPlace {
  std::string name;  // "blk.3.ffn_down_exps.weight": all experts of a layer in one tensor
  int layer = -1;    // -1: of the model as a whole
  int expert = -1;   // which slice of the tensor; -1: it is all of it
};
GgufPlace gguf_place(std::string_view canonical);

// Finds canonical tensors in a checkpoint of any spelling: Hugging Face text and vision-language
// prefixes, experts one by one or fused, GGUF names and stacked experts.
class TensorResolver {
 public:
  // Fails when no spelling of the embedding is there: then this is no LFM2 checkpoint.
  static Result<TensorResolver> make(const Checkpoint& checkpoint);

  // The tensor, checked for its shape. Missing or misshapen: an error naming file and tensor.
  Result<TensorView> find(const TensorSpec& spec) const;
  bool has(std::string_view canonical) const;

 private:
  TensorResolver(const Checkpoint& checkpoint, bool gguf, std::string prefix)
      : checkpoint_(&checkpoint), gguf_(gguf), prefix_(std::move(prefix)) {}
  std::string spelled(std::string_view canonical) const;
  // One expert's matrix out of a stacked or fused tensor; nothing if this is no expert tensor or
  // the stack is not there.
  Result<std::optional<TensorView>> find_in_stack(const TensorSpec& spec) const;

  const Checkpoint* checkpoint_;
  bool gguf_;
  std::string prefix_;
};

}  // namespace millrace
