// Numbers about many measurements.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace millrace::loadgen {

// The value below which a share q of the sorted values lies, between neighbours by a straight line
// (numpy's and Excel's rule). 0 for no values.
double quantile(std::span<const double> ascending, double q);

struct Summary {
  std::int64_t count = 0;
  double mean = 0, deviation = 0;  // of the population
  double min = 0, p50 = 0, p90 = 0, p95 = 0, p99 = 0, max = 0;
};
Summary summarize(std::vector<double> values);

}  // namespace millrace::loadgen
