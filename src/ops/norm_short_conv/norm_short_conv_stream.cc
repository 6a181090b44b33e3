#include "ops/norm_short_conv/norm_short_conv_stream.h"

#include "ops/norm_short_conv/norm_short_conv_kernels.h"
#include "ops/stream/stream_rules.h"

namespace millrace::MILLRACE_GPU {
namespace {

std::string rejects(const NormShortConv::Key& key, const DeviceTraits& traits) {
  if (key.out != DType::BF16) return "writes BF16";
  return stream_problem(key.weight, key.out, key.n, key.k, kStagedMostK, traits);
}

}  // namespace

std::span<const KernelSpec<NormShortConv>> norm_short_conv_kernels() {
  static constexpr KernelSpec<NormShortConv> kSpecs[] = {
      {"stream", kGpuBackend, Priority::Performant, rejects, run_norm_short_conv}};
  return kSpecs;
}

}  // namespace millrace::MILLRACE_GPU
