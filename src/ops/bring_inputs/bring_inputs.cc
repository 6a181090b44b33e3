#include "ops/bring_inputs/bring_inputs.h"

#include "ops/bring_inputs/bring_inputs_kernels.h"

namespace millrace {

std::string to_string(const BringInputs::Key&) {
  return "from page-locked memory";
}

std::span<const KernelSpec<BringInputs>> kernels_of(BringInputs) {
  static const std::vector<KernelSpec<BringInputs>> kAll =
      join_kernels<BringInputs>({reference_bring_inputs_kernels(), cuda::bring_inputs_kernels(),
                                 hip::bring_inputs_kernels(), emulated::bring_inputs_kernels()});
  return kAll;
}

}  // namespace millrace
