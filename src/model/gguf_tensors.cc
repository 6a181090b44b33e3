#include "model/gguf_tensors.h"

#include <algorithm>

namespace millrace {

std::vector<GgufTensor> gguf_tensors(const ModelConfig& config) {
  std::vector<GgufTensor> tensors;
  for (TensorSpec& spec : tensor_specs(config)) {
    const GgufPlace place = gguf_place(spec.name);
    // The experts of a layer follow each other, their three matrices in turn.
    const auto stack =
        std::find_if(tensors.rbegin(), tensors.rend(), [&](const GgufTensor& earlier) {
          return earlier.layer == place.layer && earlier.name == place.name;
        });
    if (stack != tensors.rend()) {
      stack->parts.push_back(std::move(spec));
      continue;
    }
    Shape shape = spec.shape;
    if (spec.role == TensorRole::ConvKernel) shape = {spec.shape[0], spec.shape[2]};
    tensors.push_back({place.name, shape, spec.role, place.layer, {}});
    tensors.back().parts.push_back(std::move(spec));
    if (place.expert >= 0) tensors.back().shape = {config.moe->experts, shape[0], shape[1]};
  }
  std::stable_partition(tensors.begin(), tensors.end(),
                        [](const GgufTensor& tensor) { return tensor.layer < 0; });
  return tensors;
}

}  // namespace millrace
