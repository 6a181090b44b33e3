// out[i] = in[rows[i]]: the rows of a step that go on where others are done.
#pragma once

#include <cstdint>

#include "ops/matrix_view.h"

namespace millrace {

struct GatherRowsParams {
  MatrixView in;             // the activation type, or F32
  const std::int32_t* rows;  // [count], any rows of `in`
  MatrixView out;            // [count, columns], of the type of `in`, elsewhere in memory
  std::int64_t count;
};

}  // namespace millrace
