// `millrace doctor`: what the machine offers, what was built, what is missing.
#include <fmt/format.h>

#include <fstream>

#include "base/json.h"
#include "base/units.h"
#include "cli/command.h"
#include "device/cpu/cpu_device.h"
#include "device/cuda/cuda_device.h"
#include "device/hip/hip_device.h"
#include "hub/hub.h"
#include "ops/machine_ceilings.h"

namespace millrace::cli {
namespace {

struct Finding {
  std::string what;
  std::vector<std::string> found;  // a line each
  std::string advice;              // empty: nothing to do
};

std::string first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string memory_line(std::string_view wanted) {
  std::ifstream info("/proc/meminfo");
  for (std::string line; std::getline(info, line);) {
    if (!line.starts_with(wanted)) continue;
    std::int64_t kib = 0;
    if (std::sscanf(line.c_str() + wanted.size(), ": %ld", &kib) == 1)
      return format_bytes(static_cast<std::uint64_t>(kib) * 1024);
  }
  return "unknown";
}

// A GPU backend by its own account, and how to get what it misses.
Finding examine_gpu(std::string what, std::vector<std::string> lines, std::string how_to_build,
                    std::string how_to_run) {
  std::string advice;
  if (lines.front() == "not built in")
    advice = std::move(how_to_build);
  else if (lines.back() == "no GPU" || lines.size() < 2)
    advice = std::move(how_to_run);
  return {std::move(what), std::move(lines), std::move(advice)};
}

std::vector<Finding> examine(Device& device) {
  const DeviceTraits& traits = device.traits();
  const CpuFeatures& cpu = traits.cpu;
  std::vector<Finding> findings;
  const auto add = [&](std::string what, std::string found, std::string advice = {}) {
    findings.push_back({std::move(what), {std::move(found)}, std::move(advice)});
  };
  add("processor", cpu.model);
  add("instruction sets", to_string(cpu),
      cpu.avx2 || cpu.neon ? "" : "no AVX2: kernels fall back to plain C++ loops");
  add("threads", fmt::format("{}", traits.parallelism));
  add("memory",
      fmt::format("{} of {} available", memory_line("MemAvailable"), memory_line("MemTotal")));
  const std::string huge = first_line("/sys/kernel/mm/transparent_hugepage/enabled");
  add("huge pages", huge.empty() ? "unknown" : huge,
      huge.find("[never]") != std::string::npos
          ? "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled speeds up large caches"
          : "");
  const MachineCeilings ceilings = measure_ceilings(device);
  add("read bandwidth", fmt::format("{:.1f} GB/s measured", ceilings.read_gb_s));
  add("float peak", fmt::format("{:.0f} GFLOP/s measured", ceilings.gflop_s));
  findings.push_back(examine_gpu(
      "NVIDIA GPUs", describe_cuda(),
      "for one: install the CUDA toolkit (nvcc in PATH or CUDACXX), remove build/, build again",
      "to use one: install NVIDIA's driver"));
  findings.push_back(examine_gpu("AMD GPUs", describe_hip(), "for one: ./dev hip builds it in",
                                 "to use one: install AMD's driver and ROCm's HIP runtime"));
  const HubOptions hub = HubOptions::from_environment();
  add("model cache", hub.cache.string());
  add("hub token", hub.token.empty() ? "none" : "present",
      hub.token.empty() ? "gated models need HF_TOKEN" : "");
  return findings;
}

// A value is a string, or a list where several lines were found.
Json to_json(const std::vector<Finding>& findings) {
  Json out = {{"version", MILLRACE_VERSION}};
  Json advice = Json::object();
  for (const Finding& finding : findings) {
    out[finding.what] =
        finding.found.size() == 1 ? Json(finding.found.front()) : Json(finding.found);
    if (!finding.advice.empty()) advice[finding.what] = finding.advice;
  }
  out["advice"] = std::move(advice);
  return out;
}

}  // namespace

Command add_doctor(CLI::App& app) {
  auto json = std::make_shared<bool>(false);
  CLI::App* doctor_app =
      app.add_subcommand("doctor", "What this machine offers, what was built, what is missing");
  doctor_app->add_flag("--json", *json, "Print JSON");
  return {doctor_app, [=]() -> Status {
            const std::unique_ptr<Device> device = make_cpu_device();
            const std::vector<Finding> findings = examine(*device);
            if (*json) {
              fmt::print("{}\n", to_json(findings).dump(2));
              return {};
            }
            fmt::print("millrace {}\n", MILLRACE_VERSION);
            for (const Finding& finding : findings) {
              for (std::size_t i = 0; i < finding.found.size(); ++i)
                fmt::print("  {:<18} {}\n", i == 0 ? finding.what : "", finding.found[i]);
              if (!finding.advice.empty()) fmt::print("  {:<18} -> {}\n", "", finding.advice);
            }
            return {};
          }};
}

}  // namespace millrace::cli
