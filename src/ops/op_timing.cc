#include "ops/op_timing.h"

#include <algorithm>
#include <chrono>

#include "ops/op_cases.h"

namespace millrace {
namespace {

OpTiming time_one(OpInstance& instance, std::size_t kernel, Stream& stream, Device& device,
                  const OpTimingOptions& options) {
  using Clock = std::chrono::steady_clock;
  const auto seconds_since = [](Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  instance.run(kernel, stream);  // pages are mapped, clocks are up
  device.synchronize(stream);
  std::vector<double> seconds;
  const Clock::time_point start = Clock::now();
  while (static_cast<int>(seconds.size()) < options.min_runs ||
         seconds_since(start) < options.min_seconds) {
    const Clock::time_point run = Clock::now();
    instance.run(kernel, stream);
    device.synchronize(stream);
    seconds.push_back(seconds_since(run));
  }
  std::sort(seconds.begin(), seconds.end());
  OpTiming timing;
  timing.runs = static_cast<int>(seconds.size());
  timing.median_s = seconds[seconds.size() / 2];
  timing.min_s = seconds.front();
  timing.max_s = seconds.back();
  return timing;
}

// By name, or by the registry's rule: the highest band, and within it the first. -1 if none.
int pick(const std::vector<KernelVerdict>& verdicts, const std::string& name) {
  int best = -1;
  for (int i = 0; i < static_cast<int>(verdicts.size()); ++i) {
    const KernelVerdict& verdict = verdicts[static_cast<std::size_t>(i)];
    if (!verdict.reason.empty() || (!name.empty() && verdict.kernel != name)) continue;
    if (best < 0 || verdict.priority > verdicts[static_cast<std::size_t>(best)].priority) best = i;
  }
  return best;
}

}  // namespace

Result<std::vector<OpTiming>> time_op_cases(Device& device, const OpTimingOptions& options) {
  const std::unique_ptr<Stream> stream = device.make_stream();
  std::vector<OpTiming> timings;
  for (const OpTable& table : all_op_tables()) {
    for (const OpCase& example : table.cases) {
      const std::string name = fmt::format("{} {}", table.op, example.name);
      if (!example.full_size || name.find(options.filter) == std::string::npos) continue;
      const std::unique_ptr<OpInstance> instance = example.make();
      const std::vector<KernelVerdict> verdicts = instance->kernels(device.traits());
      const int kernel = pick(verdicts, options.kernel);
      if (kernel < 0) continue;
      const auto index = static_cast<std::size_t>(kernel);
      OpTiming timing = time_one(*instance, index, *stream, device, options);
      timing.op = table.op;
      timing.name = example.name;
      timing.kernel = verdicts[index].kernel;
      timing.bytes = example.bytes;
      timing.flops = example.flops;
      timings.push_back(std::move(timing));
    }
  }
  if (timings.empty())
    return fail(ErrorCode::NotFound, "no case of an op matches \"{}\"{}{}", options.filter,
                options.kernel.empty() ? "" : " with a kernel named ", options.kernel);
  return timings;
}

}  // namespace millrace
