#include "ops/kernel_trials.h"

#include <algorithm>

#include "ops/op_cases.h"

namespace millrace {
namespace {

// Of the cases that a kernel can run: the first, one amid them, the last.
constexpr std::size_t kCases = 3;

struct Trial {
  std::string name;  // of the case
  std::unique_ptr<OpInstance> instance;
  std::size_t kernel;  // its place in the instance's list
};

std::vector<Trial> trials_of(std::string_view op, std::string_view kernel,
                             const DeviceTraits& traits, DType activation) {
  std::vector<Trial> all;
  for (const OpTable& table : all_op_tables()) {
    if (table.op != op) continue;
    for (const OpCase& example : table.cases) {
      if (example.full_size) continue;
      std::unique_ptr<OpInstance> instance = example.make(activation);
      const std::vector<KernelVerdict> verdicts = instance->kernels(traits);
      const auto found = std::find_if(verdicts.begin(), verdicts.end(), [&](const auto& verdict) {
        return verdict.kernel == kernel && verdict.reason.empty();
      });
      if (found == verdicts.end()) continue;
      const auto place = static_cast<std::size_t>(found - verdicts.begin());
      all.push_back({example.name, std::move(instance), place});
    }
  }
  // A CPU makes little of them, and has kernels that take another way for each type.
  if (traits.backend == Backend::Cpu || all.size() <= kCases) return all;
  std::vector<Trial> some;
  for (std::size_t i = 0; i < kCases; ++i)
    some.push_back(std::move(all[i * (all.size() - 1) / (kCases - 1)]));
  return some;
}

}  // namespace

KernelTrials::KernelTrials(Device& device, DType activation)
    : device_(device), activation_(activation), stream_(device.make_stream()) {}

const std::string& KernelTrials::problem_of(std::string_view op, std::string_view kernel) {
  const std::pair key{std::string(op), std::string(kernel)};
  const auto it = known_.find(key);
  if (it != known_.end()) return it->second;
  return known_.emplace(key, try_kernel(op, kernel)).first->second;
}

std::string KernelTrials::try_kernel(std::string_view op, std::string_view kernel) {
  for (const Trial& trial : trials_of(op, kernel, device_.traits(), activation_)) {
    try {
      trial.instance->place_on(device_, *stream_);
      const Difference difference = trial.instance->compare(trial.kernel, *stream_);
      if (!(difference.worst <= 1.0))
        return fmt::format("self-test, {}: {}", trial.name, difference.where);
    } catch (const DeviceError& error) {
      return fmt::format("self-test, {}: {}", trial.name, error.what());
    }
  }
  return {};
}

std::vector<std::string> KernelTrials::failures() const {
  std::vector<std::string> all;
  for (const auto& [key, problem] : known_)
    if (!problem.empty()) all.push_back(fmt::format("{} {}: {}", key.first, key.second, problem));
  return all;
}

}  // namespace millrace
