#include "ops/decode_step/decode_step_persistent.h"

#include "ops/decode_step/decode_step_kernels.h"
#include "ops/gpu_rules.h"

namespace millrace::MILLRACE_GPU {
namespace {

std::string rejects(const DecodeStep::Key& key, const DeviceTraits& traits) {
  const bool emulated = traits.backend == Backend::Emulated;
  if (!emulated && traits.arch < 90) return "needs an NVIDIA GPU of sm_90 or later";
  if (key.weight != DType::BF16) return "reads BF16 weights";
  if (key.kv != DType::BF16 && key.kv != DType::F8_E4M3) return "reads BF16 and FP8 caches";
  if (std::string problem = decode_shape_problem(key.shape); !problem.empty()) return problem;
  const DecodePlan plan = plan_decode_step(key.shape, traits.parallelism);
  if (decode_shared_layout(plan, 1, kDecodeSharedBytes).tiles < kDecodeFewestTiles)
    return "needs more shared memory";
  if (!emulated && 8 * plan.weight_bytes > traits.memory_bytes)
    return "keeps a second copy of the weights: needs more memory";
  return {};
}

}  // namespace

std::span<const KernelSpec<DecodeStep>> decode_step_kernels() {
  static constexpr KernelSpec<DecodeStep> kSpecs[] = {
      {"persistent", kGpuBackend, Priority::Specialized, rejects, run_decode_step}};
  return kSpecs;
}

}  // namespace millrace::MILLRACE_GPU
