#include "ops/embedding/embedding_gpu.h"

#include "ops/embedding/embedding_kernels.h"
#include "ops/gpu_rules.h"

namespace millrace::MILLRACE_GPU {
namespace {

std::string rejects(const Embedding::Key& key, const DeviceTraits&) {
  if (key.table != DType::F32 && key.table != DType::BF16)
    return "GPU kernels read F32 or BF16 tables";
  return gpu_activation_problem(key.activation);
}

}  // namespace

std::span<const KernelSpec<Embedding>> embedding_kernels() {
  static constexpr KernelSpec<Embedding> kSpecs[] = {
      {"gpu", kGpuBackend, Priority::Portable, rejects, run_embedding}};
  return kSpecs;
}

}  // namespace millrace::MILLRACE_GPU
