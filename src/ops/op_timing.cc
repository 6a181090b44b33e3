#include "ops/op_timing.h"

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>

#include "ops/case_data.h"
#include "ops/op_cases.h"

namespace millrace {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Queues `count` runs at once: as a graph where the device has them, so that the host's launches
// do not count.
std::function<void()> many_runs(OpInstance& instance, std::size_t kernel, Stream& stream,
                                Device& device, int count) {
  const auto runs = [&instance, &stream, kernel, count] {
    for (int i = 0; i < count; ++i) instance.run(kernel, stream);
  };
  std::shared_ptr<Graph> graph;
  if (count > 1) graph = device.record(stream, runs);
  if (!graph) return runs;
  return [graph, &stream] { graph->launch(stream); };
}

OpTiming time_one(OpInstance& instance, std::size_t kernel, Stream& stream, Device& device,
                  const OpTimingOptions& options) {
  const auto time = [&](const std::function<void()>& work) {
    const Clock::time_point start = Clock::now();
    work();
    device.synchronize(stream);
    return seconds_since(start);
  };
  // Where work is queued, a wait costs microseconds: few against 5 ms.
  constexpr double kLongEnough = 5e-3;
  constexpr int kMostQueued = 256;
  const std::function<void()> one = many_runs(instance, kernel, stream, device, 1);
  time(one);  // pages are mapped, clocks are up
  int count = 1;
  if (!device.uses_host_memory())
    count =
        std::clamp(static_cast<int>(kLongEnough / std::min(time(one), time(one))), 1, kMostQueued);
  const std::function<void()> work = many_runs(instance, kernel, stream, device, count);
  if (count > 1) time(work);
  std::vector<double> seconds;
  const Clock::time_point start = Clock::now();
  while (static_cast<int>(seconds.size()) < options.min_runs ||
         seconds_since(start) < options.min_seconds)
    seconds.push_back(time(work) / count);
  std::sort(seconds.begin(), seconds.end());
  OpTiming timing;
  timing.runs = static_cast<int>(seconds.size()) * count;
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
      const std::unique_ptr<OpInstance> instance = example.make(options.activation);
      const std::vector<KernelVerdict> verdicts = instance->kernels(device.traits());
      const int kernel = pick(verdicts, options.kernel);
      if (kernel < 0) continue;
      const auto index = static_cast<std::size_t>(kernel);
      instance->place_on(device, *stream, kBeyondCaches);
      OpTiming timing = time_one(*instance, index, *stream, device, options);
      timing.op = table.op;
      timing.name = example.name;
      timing.kernel = verdicts[index].kernel;
      timing.bytes = example.bytes(options.activation);
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
