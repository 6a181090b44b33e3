// out[t] = table[tokens[t]]: the rows of the embedding matrix, widened. No scaling (spec 4.1).
#pragma once

#include "ops/matrix_view.h"
#include "tensor/tensor_view.h"

namespace millrace {

struct EmbeddingParams {
  TensorView table;            // [vocab, hidden], any stored type
  const std::int32_t* tokens;  // [rows], each in [0, vocab): the engine checks before the step
  MatrixView out;              // [rows, hidden]
  std::int64_t rows;
  // Tokens that a step before this one has chosen and the host has not seen yet: tokens[t] < 0
  // stands for sampled[-1 - tokens[t]].
  const std::int32_t* sampled = nullptr;
};

}  // namespace millrace
