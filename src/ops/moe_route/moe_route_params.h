// Which experts a token goes to, and with what weight (spec 6): s = sigmoid(logits), the top k by
// s + bias (ties to the lower index), weighted by s itself, normalised over the k, then scaled.
// Experts of a row come out in ascending index, the order in which they are summed.
#pragma once

#include "ops/matrix_view.h"

namespace millrace {

struct MoeRouteParams {
  MatrixView logits;      // [rows, experts]
  const float* bias;      // [experts] or null
  std::int32_t* experts;  // out [rows][top_k]
  float* weights;         // out [rows][top_k]
  std::int64_t rows;
  int top_k;
  bool normalise;  // divide by (sum + 1e-6)
  float scale;
};

}  // namespace millrace
