// How far a product of packed weights may be from that of the numbers as they are.
#pragma once

#include <algorithm>
#include <cmath>

#include "ops/case_instance.h"

namespace millrace {

// weight(i), input(i): element i of k of a row each; added: the size of what the sum is added to.
// The row's rounding, and that of the sum in float.
template <typename Weight, typename Input>
double packed_product_error(DType dtype, std::int64_t k, double added, const Weight& weight,
                            const Input& input) {
  double size = added;
  double rounded = 0;
  for (std::int64_t from = 0; from < k; from += 32) {
    double of_weights = 0;
    double products = 0;
    double largest = 0;
    for (std::int64_t i = from; i < std::min(k, from + 32); ++i) {
      const double w = std::abs(double{weight(i)});
      const double x = std::abs(double{input(i)});
      of_weights += w;
      products += w * x;
      largest = std::max(largest, x);
    }
    size += products;
    rounded +=
        dtype == DType::BF16 ? products * kNarrowRounding : of_weights * largest / 254 * 1.0001;
  }
  // A K-quant's minimum and scale are rounded before they are used; a lane adds k terms.
  const double roundings = static_cast<double>(k) + 8;
  return rounded + 2 * size * roundings * kRounding;
}

}  // namespace millrace
