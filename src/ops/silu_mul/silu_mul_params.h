// out = silu(gate) * up, silu(x) = x / (1 + exp(-x)) (spec 4.5).
#pragma once

#include "ops/matrix_view.h"

namespace millrace {

struct SiluMulParams {
  MatrixView gate;
  MatrixView up;
  MatrixView out;  // may be `gate`
  std::int64_t rows;
};

}  // namespace millrace
