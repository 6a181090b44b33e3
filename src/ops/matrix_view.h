// Activations: rows of a step, borrowed from the model's workspace.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace millrace {

// [rows, columns], rows `stride` elements apart. The row count is the step's and travels beside
// it. F32 on the CPU; on a GPU the residual stream and logits are F32, the rest F32 or BF16.
struct MatrixView {
  void* data = nullptr;
  std::int64_t columns = 0;
  std::int64_t stride = 0;  // elements
  DType dtype = DType::F32;

  explicit operator bool() const { return data != nullptr; }

  template <typename T>
  T* row(std::int64_t i) const {
    return static_cast<T*>(data) + i * stride;
  }
  // The same rows, columns [first, first + count) only.
  MatrixView columns_from(std::int64_t first, std::int64_t count) const {
    return {static_cast<char*>(data) + bytes_of(dtype, first), count, stride, dtype};
  }
  // The same columns, rows from `first` on.
  MatrixView rows_from(std::int64_t first) const {
    return {static_cast<char*>(data) + bytes_of(dtype, first * stride), columns, stride, dtype};
  }
};

}  // namespace millrace
