// What a GGUF file of a model holds, as llama.cpp's converter lays it out.
#pragma once

#include <string>
#include <vector>

#include "model/tensor_names.h"

namespace millrace {

struct GgufTensor {
  std::string name;  // "blk.3.ffn_down_exps.weight"
  Shape shape;
  TensorRole role;
  int layer = -1;  // -1: of the model as a whole
  // The canonical tensors whose rows follow each other in it: one, or those of all experts.
  std::vector<TensorSpec> parts;
};

// Every tensor of tensor_specs(), once: experts stacked [experts, rows, columns], conv kernels
// squeezed to [hidden, K]. The model's own first, then layer by layer.
std::vector<GgufTensor> gguf_tensors(const ModelConfig& config);

}  // namespace millrace
