// How a kernel for sample_params.h is chosen.
#pragma once

#include <span>
#include <string>

#include "ops/kernel_registry.h"
#include "ops/sample/sample_params.h"
#include "tensor/dtype.h"

namespace millrace {

struct Sample {
  static constexpr std::string_view kName = "sample";
  struct Key {
    DType activation;
    std::int64_t vocab;
  };
  using Params = SampleParams;
  using Launch = void (*)(const SampleParams&, Stream&);
};

std::string to_string(const Sample::Key& key);
std::span<const KernelSpec<Sample>> kernels_of(Sample);

}  // namespace millrace
