#include "ops/norm_swiglu/norm_swiglu_stream.h"

#include "ops/norm_swiglu/norm_swiglu_kernels.h"
#include "ops/stream/stream_rules.h"

namespace millrace::MILLRACE_GPU {
namespace {

std::string rejects(const NormSwiglu::Key& key, const DeviceTraits& traits) {
  if (key.out != DType::BF16) return "writes BF16";
  if (key.rows > kStreamRows) return fmt::format("takes at most {} rows", kStreamRows);
  return stream_problem(key.weight, key.out, key.n, key.k, kStagedMostK, traits);
}

}  // namespace

std::span<const KernelSpec<NormSwiglu>> norm_swiglu_kernels() {
  static constexpr KernelSpec<NormSwiglu> kSpecs[] = {
      {"stream", kGpuBackend, Priority::Performant, rejects, run_norm_swiglu}};
  return kSpecs;
}

}  // namespace millrace::MILLRACE_GPU
