#include "ops/norm_swiglu/norm_swiglu_hopper.h"

#include "ops/hopper/hopper_plan.h"
#include "ops/norm_swiglu/norm_swiglu_kernels.h"

namespace millrace::cuda {
namespace {

std::string rejects(const NormSwiglu::Key& key, const DeviceTraits& traits) {
  if (std::string problem = hopper::row_problem(key.rows); !problem.empty()) return problem;
  return hopper::product_problem(key.weight, 2 * key.n, key.k, traits);
}

}  // namespace

std::span<const KernelSpec<NormSwiglu>> norm_swiglu_hopper_kernels() {
  static constexpr KernelSpec<NormSwiglu> kSpecs[] = {
      {"hopper", Backend::Cuda, Priority::Specialized, rejects, run_norm_swiglu_hopper}};
  return kSpecs;
}

}  // namespace millrace::cuda
