#include "device/cpu/cpu_device.h"
#include "ops/moe_experts/experts_reference.h"
#include "ops/moe_experts/moe_experts_kernels.h"
#include "tensor/decode_row.h"

namespace millrace {
namespace {

void run_reference(const MoeExpertsParams& p, Stream& stream) {
  run_experts_reference(
      p, pool_of(stream), [](const TensorView& matrix, std::int64_t row, float* out) {
        const std::int64_t k = matrix.shape[1];
        decode_row(matrix.dtype, matrix.as<std::byte>() + row * bytes_of(matrix.dtype, k), k, out);
      });
}

std::string rejects(const MoeExperts::Key& key, const DeviceTraits&) {
  return key.activation != DType::F32 ? "the reference computes with F32 activations" : "";
}

}  // namespace

std::span<const KernelSpec<MoeExperts>> reference_moe_experts_kernels() {
  static constexpr KernelSpec<MoeExperts> kSpecs[] = {
      {"reference", Backend::Cpu, Priority::Reference, rejects, run_reference}};
  return kSpecs;
}

}  // namespace millrace
