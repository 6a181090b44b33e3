#include "device/cpu/cpu_device.h"
#include "ops/moe_experts/experts_reference.h"
#include "ops/packed_experts/packed_experts_kernels.h"
#include "ops/packed_linear/packing.h"

namespace millrace {
namespace {

void run_reference(const PackedExpertsParams& p, Stream& stream) {
  run_experts_reference(p, pool_of(stream), decode_packed_row);
}

std::string rejects(const PackedExperts::Key& key, const DeviceTraits&) {
  return key.activation != DType::F32 ? "the reference computes with F32 activations" : "";
}

}  // namespace

std::span<const KernelSpec<PackedExperts>> reference_packed_experts_kernels() {
  static constexpr KernelSpec<PackedExperts> kSpecs[] = {
      {"reference", Backend::Cpu, Priority::Reference, rejects, run_reference}};
  return kSpecs;
}

}  // namespace millrace
