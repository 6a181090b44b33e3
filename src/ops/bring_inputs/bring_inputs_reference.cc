// The oracle.
#include <algorithm>

#include "ops/bring_inputs/bring_inputs_kernels.h"

namespace millrace {
namespace {

void run_reference(const BringInputsParams& params, Stream&) {
  for (int i = 0; i < params.count; ++i) {
    const BringInputsParams::Piece& piece = params.pieces[i];
    std::copy_n(piece.from, piece.words, piece.to);
  }
}

std::string rejects(const BringInputs::Key& key, const DeviceTraits&) {
  return key.activation != DType::F32 ? "the reference computes with F32 activations" : "";
}

}  // namespace

std::span<const KernelSpec<BringInputs>> reference_bring_inputs_kernels() {
  static constexpr KernelSpec<BringInputs> kSpecs[] = {
      {"reference", Backend::Cpu, Priority::Reference, rejects, run_reference}};
  return kSpecs;
}

}  // namespace millrace
