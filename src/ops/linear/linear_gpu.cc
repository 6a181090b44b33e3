#include "ops/linear/linear_gpu.h"

#include "ops/gpu_rules.h"
#include "ops/linear/linear_kernels.h"
#include "ops/linear/linear_library.h"
#include "ops/linear/linear_stream.h"
#include "ops/stream/stream_rules.h"

namespace millrace::MILLRACE_GPU {
namespace {

std::string rejects(const Linear::Key& key, const DeviceTraits&) {
  if (key.weight != DType::F32 && key.weight != DType::BF16)
    return "GPU kernels read F32 or BF16 weights";
  return gpu_activation_problem(key.activation);
}

// Few rows stream the weights; more go to the library, which is ahead from 9 rows on.
constexpr std::int64_t kStreamRows = 8;

void run_fast(const LinearParams& p, Stream& stream) {
  if (p.rows <= kStreamRows) return run_linear_stream(p, stream);
  if (!run_linear_library(p, stream)) run_linear(p, stream);
}

std::string fast_rejects(const Linear::Key& key, const DeviceTraits& traits) {
  if (key.activation != DType::BF16) return "reads BF16 rows";
  return stream_problem(key.weight, key.activation, key.n, key.k, kAnyK, traits);
}

}  // namespace

std::span<const KernelSpec<Linear>> linear_kernels() {
  static constexpr KernelSpec<Linear> kSpecs[] = {
      {"gpu", kGpuBackend, Priority::Portable, rejects, run_linear},
      {"stream", kGpuBackend, Priority::Performant, fast_rejects, run_fast}};
  return kSpecs;
}

}  // namespace millrace::MILLRACE_GPU
