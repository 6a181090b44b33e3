// Memory for kernels of the norm_* ops that norm the rows in a kernel of their own (spec 4.2): rows
// of the residual stream times the norm's weights, in BF16, and what 1 / rms is made of.
#pragma once

#include <cstdint>

#include "tensor/half.h"

namespace millrace {

constexpr std::int64_t kSquaresColumns = 64;

struct NormScratch {
  BF16* rows = nullptr;      // [rows][k]
  float* squares = nullptr;  // [rows][k / 64]: sums of so many columns' squares
};

constexpr std::int64_t norm_squares(std::int64_t k) {
  return (k + kSquaresColumns - 1) / kSquaresColumns;
}

}  // namespace millrace
