// How an op's kernel is chosen: once, at model load, deterministically, and printably.
//
// An op is a struct with
//   static constexpr std::string_view kName;   // "linear"
//   struct Key;                                // what the choice depends on: dtypes, shapes
//   using Launch = void (*)(const Params&, Stream&);
// and a function `std::span<const KernelSpec<Op>> kernels_of(Op)` that lists its kernels.
#pragma once

#include <fmt/format.h>

#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "base/error.h"
#include "device/device.h"

namespace millrace {

// A higher band wins; within a band the kernel listed first does.
enum class Priority { Reference, Portable, Performant, Specialized, Plugin };
std::string_view to_string(Priority priority);

template <typename Op>
struct KernelSpec {
  std::string_view name;  // "cpu_avx512"
  Backend backend;
  Priority priority;
  // Why this kernel cannot run that key on that device; empty if it can.
  std::string (*rejects)(const typename Op::Key& key, const DeviceTraits& traits);
  typename Op::Launch launch;
};

// Why a kernel won or lost, for `millrace kernels`.
struct KernelVerdict {
  std::string_view kernel;
  Priority priority;
  std::string reason;  // empty for the winner
};

template <typename Op>
struct KernelChoice {
  const KernelSpec<Op>* spec = nullptr;
  std::vector<KernelVerdict> verdicts;  // the winner first

  void launch(const typename Op::Params& params, Stream& stream) const {
    spec->launch(params, stream);
  }
};

// All kernels of an op in one list; a name that occurs twice for a backend is a bug.
template <typename Op>
std::vector<KernelSpec<Op>> join_kernels(
    std::initializer_list<std::span<const KernelSpec<Op>>> lists) {
  std::vector<KernelSpec<Op>> all;
  for (const auto& list : lists) {
    for (const KernelSpec<Op>& spec : list) {
      for (const KernelSpec<Op>& other : all)
        check(spec.name != other.name || spec.backend != other.backend,
              "two kernels of an op have the same name");
      all.push_back(spec);
    }
  }
  return all;
}

// `--kernel op=name`, one entry an op.
using KernelOverrides = std::map<std::string, std::string, std::less<>>;

template <typename Op>
Result<KernelChoice<Op>> choose_kernel(const typename Op::Key& key, const DeviceTraits& traits,
                                       const KernelOverrides& overrides) {
  const std::span<const KernelSpec<Op>> specs = kernels_of(Op{});
  const auto forced = overrides.find(Op::kName);
  KernelChoice<Op> choice;
  std::vector<KernelVerdict> lost;
  bool known = false;
  for (const KernelSpec<Op>& spec : specs) {
    if (spec.backend != traits.backend) continue;
    std::string reason = spec.rejects(key, traits);
    if (forced != overrides.end()) {
      if (spec.name == forced->second)
        known = true;
      else if (reason.empty())
        reason = fmt::format("--kernel {}={} was given", Op::kName, forced->second);
    }
    if (!reason.empty()) {
      lost.push_back({spec.name, spec.priority, std::move(reason)});
      continue;
    }
    if (choice.spec == nullptr || spec.priority > choice.spec->priority) {
      if (choice.spec)
        lost.push_back({choice.spec->name, choice.spec->priority,
                        fmt::format("{} has a higher priority", spec.name)});
      choice.spec = &spec;
    } else {
      lost.push_back({spec.name, spec.priority,
                      fmt::format("{} {}", choice.spec->name,
                                  choice.spec->priority > spec.priority ? "has a higher priority"
                                                                        : "comes first")});
    }
  }
  if (forced != overrides.end() && !known)
    return fail(ErrorCode::InvalidArgument, "--kernel {}={}: no kernel of that name for {}",
                Op::kName, forced->second, to_string(traits.backend));
  if (choice.spec == nullptr) {
    std::string reasons;
    for (const KernelVerdict& verdict : lost)
      reasons +=
          fmt::format("{}{}: {}", reasons.empty() ? "" : "; ", verdict.kernel, verdict.reason);
    return fail(ErrorCode::Unsupported, "no {} kernel runs {} on {} ({})", Op::kName,
                to_string(key), to_string(traits.backend), reasons);
  }
  choice.verdicts.push_back({choice.spec->name, choice.spec->priority, ""});
  for (KernelVerdict& verdict : lost) choice.verdicts.push_back(std::move(verdict));
  return choice;
}

}  // namespace millrace
