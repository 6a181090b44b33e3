#include "loadgen/stats.h"

#include <algorithm>
#include <cmath>

namespace millrace::loadgen {

double quantile(std::span<const double> ascending, double q) {
  if (ascending.empty()) return 0;
  const double at = std::clamp(q, 0.0, 1.0) * static_cast<double>(ascending.size() - 1);
  const auto low = static_cast<std::size_t>(at);
  const std::size_t high = std::min(low + 1, ascending.size() - 1);
  return ascending[low] + (ascending[high] - ascending[low]) * (at - static_cast<double>(low));
}

Summary summarize(std::vector<double> values) {
  Summary summary;
  if (values.empty()) return summary;
  std::sort(values.begin(), values.end());
  const auto count = static_cast<double>(values.size());
  double sum = 0, squares = 0;
  for (const double value : values) sum += value;
  summary.mean = sum / count;
  for (const double value : values) squares += (value - summary.mean) * (value - summary.mean);
  summary.count = static_cast<std::int64_t>(values.size());
  summary.deviation = std::sqrt(squares / count);
  summary.min = values.front();
  summary.p50 = quantile(values, 0.5);
  summary.p90 = quantile(values, 0.9);
  summary.p95 = quantile(values, 0.95);
  summary.p99 = quantile(values, 0.99);
  summary.max = values.back();
  return summary;
}

}  // namespace millrace::loadgen
