#include "ops/norm_linear/norm_linear_stream.h"

#include "ops/norm_linear/norm_linear_kernels.h"
#include "ops/stream/stream_rules.h"

namespace millrace::MILLRACE_GPU {
namespace {

std::string rejects(const NormLinear::Key& key, const DeviceTraits& traits) {
  if (key.rows > NormLinear::kFewRows)
    return fmt::format("takes at most {} rows", NormLinear::kFewRows);
  return stream_problem(key.weight, key.out, key.n, key.k, kStagedMostK, traits);
}

}  // namespace

std::span<const KernelSpec<NormLinear>> norm_linear_kernels() {
  static constexpr KernelSpec<NormLinear> kSpecs[] = {
      {"stream", kGpuBackend, Priority::Performant, rejects, run_norm_linear}};
  return kSpecs;
}

}  // namespace millrace::MILLRACE_GPU
