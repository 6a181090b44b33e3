// `millrace doctor`: what the machine offers, what was built, what is missing.
#include <fmt/format.h>

#include <fstream>

#include "base/json.h"
#include "base/units.h"
#include "cli/command.h"
#include "device/cpu/cpu_device.h"
#include "device/cuda/cuda_device.h"
#include "hub/hub.h"
#include "ops/machine_ceilings.h"

namespace millrace::cli {
namespace {

struct Finding {
  std::string what;
  std::string found;
  std::string advice;  // empty: nothing to do
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

std::vector<Finding> examine(Device& device) {
  const DeviceTraits& traits = device.traits();
  const CpuFeatures& cpu = traits.cpu;
  std::vector<Finding> findings;
  findings.push_back({"processor", cpu.model, ""});
  findings.push_back({"instruction sets", to_string(cpu),
                      cpu.avx2 || cpu.neon ? "" : "no AVX2: kernels fall back to plain C++ loops"});
  findings.push_back({"threads", fmt::format("{}", traits.parallelism),
                      "set others with --threads; more than the cores only slows down"});
  findings.back().advice.clear();
  findings.push_back(
      {"memory",
       fmt::format("{} of {} available", memory_line("MemAvailable"), memory_line("MemTotal")),
       ""});
  const std::string huge = first_line("/sys/kernel/mm/transparent_hugepage/enabled");
  findings.push_back({"huge pages", huge.empty() ? "unknown" : huge,
                      huge.find("[never]") != std::string::npos
                          ? "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled speeds up "
                            "large caches"
                          : ""});
  const MachineCeilings ceilings = measure_ceilings(device);
  findings.push_back(
      {"read bandwidth", fmt::format("{:.1f} GB/s measured", ceilings.read_gb_s), ""});
  findings.push_back({"float peak", fmt::format("{:.0f} GFLOP/s measured", ceilings.gflop_s), ""});
  const HubOptions hub = HubOptions::from_environment();
  findings.push_back({"model cache", hub.cache.string(), ""});
  findings.push_back({"hub token", hub.token.empty() ? "none" : "present",
                      hub.token.empty() ? "gated models need HF_TOKEN" : ""});
  return findings;
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
              Json out = Json::object();
              for (const Finding& finding : findings) out[finding.what] = finding.found;
              fmt::print("{}\n", out.dump(2));
              return {};
            }
            fmt::print("millrace {}\n", MILLRACE_VERSION);
            for (const Finding& finding : findings) {
              fmt::print("  {:<18} {}\n", finding.what, finding.found);
              if (!finding.advice.empty()) fmt::print("  {:<18} -> {}\n", "", finding.advice);
            }
            for (const std::string& line : describe_cuda())
              fmt::print("  {:<18} {}\n", "CUDA", line);
            return {};
          }};
}

}  // namespace millrace::cli
