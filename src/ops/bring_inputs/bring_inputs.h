// How a kernel for bring_inputs_params.h is chosen.
#pragma once

#include <span>
#include <string>

#include "ops/bring_inputs/bring_inputs_params.h"
#include "ops/kernel_registry.h"
#include "tensor/dtype.h"

namespace millrace {

struct BringInputs {
  static constexpr std::string_view kName = "bring_inputs";
  struct Key {
    DType activation;  // as all ops'; the words are of any type
  };
  using Params = BringInputsParams;
  using Launch = void (*)(const BringInputsParams&, Stream&);
};

std::string to_string(const BringInputs::Key& key);
std::span<const KernelSpec<BringInputs>> kernels_of(BringInputs);

}  // namespace millrace
