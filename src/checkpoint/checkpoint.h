// Named tensors from files, whatever the format.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor_view.h"

namespace millrace {

struct NamedTensor {
  std::string name;
  TensorView view;
};

// Owns what its views point to.
class Checkpoint {
 public:
  virtual ~Checkpoint() = default;
  // The file or folder, for messages.
  virtual const std::string& origin() const = 0;
  // Null when there is no such tensor.
  virtual const TensorView* find(std::string_view name) const = 0;
  virtual const std::vector<NamedTensor>& tensors() const = 0;
};

}  // namespace millrace
