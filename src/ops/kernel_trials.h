// The start-up self-test: before a kernel is chosen for good, it runs once on this device against
// its op's reference, on the small cases that tests use. What a driver, a compiler or a GPU gets
// wrong is then a slower model and a warning, not wrong answers.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "device/device.h"
#include "ops/kernel_registry.h"
#include "tensor/dtype.h"

namespace millrace {

class KernelTrials {
 public:
  // `activation`: what the model's activations are on this device, which must outlive this.
  KernelTrials(Device& device, DType activation);

  // Empty where the kernel agrees with the reference, or the op has no cases for it (the whole-step
  // kernel); else what differs. Runs it when it is first asked about.
  const std::string& problem_of(std::string_view op, std::string_view kernel);

  // Of all kernels that were tried: "op kernel: what differs".
  std::vector<std::string> failures() const;

 private:
  std::string try_kernel(std::string_view op, std::string_view kernel);

  Device& device_;
  DType activation_;
  std::unique_ptr<Stream> stream_;
  std::map<std::pair<std::string, std::string>, std::string> known_;
};

// choose_kernel() among the kernels that pass their trials: where the winner does not, the next
// best takes its place. A kernel that was asked for by name is the only choice.
template <typename Op>
Result<KernelChoice<Op>> choose_tried_kernel(const typename Op::Key& key,
                                             const DeviceTraits& traits,
                                             const KernelOverrides& overrides,
                                             KernelTrials& trials) {
  std::map<std::string_view, std::string> failed;  // to what differs
  KernelOverrides next = overrides;
  while (true) {
    KernelChoice<Op> choice = MILLRACE_TRY(choose_kernel<Op>(key, traits, next));
    const KernelSpec<Op>& winner = *choice.spec;
    std::string problem;
    if (winner.priority != Priority::Reference) problem = trials.problem_of(Op::kName, winner.name);
    if (problem.empty()) {
      for (KernelVerdict& verdict : choice.verdicts)
        if (const auto it = failed.find(verdict.kernel); it != failed.end())
          verdict.reason = it->second;
      return choice;
    }
    const bool was_asked_for = overrides.contains(Op::kName);
    const std::string said = fmt::format("{} kernel {}: {}", Op::kName, winner.name, problem);
    failed.emplace(winner.name, std::move(problem));
    const KernelSpec<Op>* best = nullptr;
    for (const KernelSpec<Op>& spec : kernels_of(Op{}))
      if (spec.backend == traits.backend && !failed.contains(spec.name) &&
          spec.rejects(key, traits).empty() && (!best || spec.priority > best->priority))
        best = &spec;
    if (was_asked_for || best == nullptr)
      return fail(ErrorCode::Unsupported, "{}, and there is no other{}", said,
                  was_asked_for ? ", as --kernel was given" : "");
    next.insert_or_assign(std::string(Op::kName), std::string(best->name));
  }
}

}  // namespace millrace
