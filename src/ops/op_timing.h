// How fast kernels run their full-size cases: `millrace bench --ops`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "device/device.h"
#include "tensor/dtype.h"

namespace millrace {

struct OpTimingOptions {
  std::string filter;             // part of "op case", such as "linear bf16"; empty: everything
  std::string kernel;             // by name; empty: the one that the registry would choose
  DType activation = DType::F32;  // BF16 for devices that take it
  double min_seconds = 0.3;       // measured per case
  int min_runs = 7;               // whatever they take
};

struct OpTiming {
  std::string_view op;
  std::string name;  // of the case
  std::string_view kernel;
  double bytes = 0, flops = 0;  // counted, of one run
  int runs = 0;
  double median_s = 0, min_s = 0, max_s = 0;  // of one run, where many are timed at once their mean

  double gb_s() const { return bytes / median_s / 1e9; }
  double gflop_s() const { return flops / median_s / 1e9; }
};

// NotFound if nothing matches.
Result<std::vector<OpTiming>> time_op_cases(Device& device, const OpTimingOptions& options);

}  // namespace millrace
