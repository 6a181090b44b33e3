#include "engine/step_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>

#include "base/json.h"

namespace millrace {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

const char* to_string(StepPhase phase) {
  switch (phase) {
    case StepPhase::Intake:
      return "intake";
    case StepPhase::Plan:
      return "plan";
    case StepPhase::Launch:
      return "launch";
    case StepPhase::Wait:
      return "wait";
    case StepPhase::Sample:
      return "sample";
    case StepPhase::Deliver:
      return "deliver";
    case StepPhase::Device:
      return "device";
    case StepPhase::Idle:
      return "idle";
  }
  return "unknown";
}

StepTrace::StepTrace(std::size_t capacity)
    : capacity_(std::max<std::size_t>(1, capacity)), slots_(new Slot[capacity_]) {}

void StepTrace::add(const TraceSpan& span) {
  const std::uint64_t number = written_.load(kRelaxed);
  Slot& slot = slots_[number % capacity_];
  // Readers that see a part of this span see another version behind it, and leave it out. The
  // stores of the fields release the odd version; the even one releases them.
  slot.version.store(2 * number + 1, kRelaxed);
  slot.step.store(span.step, std::memory_order_release);
  slot.amount.store(span.amount, std::memory_order_release);
  slot.begin_ns.store(span.begin_ns, std::memory_order_release);
  slot.end_ns.store(span.end_ns, std::memory_order_release);
  slot.phase.store(span.phase, std::memory_order_release);
  slot.version.store(2 * number + 2, std::memory_order_release);
  written_.store(number + 1, std::memory_order_release);
}

std::vector<TraceSpan> StepTrace::snapshot() const {
  const std::uint64_t end = written_.load(std::memory_order_acquire);
  const std::uint64_t begin = end > capacity_ ? end - capacity_ : 0;
  std::vector<TraceSpan> spans;
  spans.reserve(end - begin);
  for (std::uint64_t number = begin; number < end; ++number) {
    const Slot& slot = slots_[number % capacity_];
    if (slot.version.load(std::memory_order_acquire) != 2 * number + 2) continue;
    const TraceSpan span{.phase = slot.phase.load(std::memory_order_acquire),
                         .step = slot.step.load(std::memory_order_acquire),
                         .amount = slot.amount.load(std::memory_order_acquire),
                         .begin_ns = slot.begin_ns.load(std::memory_order_acquire),
                         .end_ns = slot.end_ns.load(std::memory_order_acquire)};
    if (slot.version.load(kRelaxed) == 2 * number + 2) spans.push_back(span);
  }
  return spans;
}

std::string chrome_trace(const std::vector<TraceSpan>& spans, const std::string& process_name) {
  const std::int64_t zero = spans.empty() ? 0 : spans.front().begin_ns;
  const auto us = [&](std::int64_t ns) { return static_cast<double>(ns - zero) / 1e3; };
  constexpr int kThread = 1, kSteps = 2, kDevice = 3;
  std::string out = "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n";
  out += fmt::format(
      "{{\"ph\":\"M\",\"pid\":1,\"name\":\"process_name\",\"args\":{{\"name\":{}}}}},\n",
      Json(process_name).dump(-1, ' ', false, Json::error_handler_t::replace));
  for (const auto& [row, name] : {std::pair(kThread, "step thread"), std::pair(kSteps, "steps"),
                                  std::pair(kDevice, "device")})
    out += fmt::format(
        "{{\"ph\":\"M\",\"pid\":1,\"tid\":{},\"name\":\"thread_name\",\"args\":{{\"name\":\"{}\"}}"
        "}},\n",
        row, name);
  struct Step {
    std::int64_t begin_ns = 0, end_ns = 0, tokens = 0;
  };
  std::map<std::uint64_t, Step> steps;
  for (const TraceSpan& span : spans) {
    out += fmt::format(
        "{{\"ph\":\"X\",\"pid\":1,\"tid\":{},\"name\":\"{}\",\"ts\":{:.3f},\"dur\":{:.3f},\"args\":"
        "{{\"step\":{},\"tokens\":{}}}}},\n",
        span.phase == StepPhase::Device ? kDevice : kThread, to_string(span.phase),
        us(span.begin_ns), static_cast<double>(span.end_ns - span.begin_ns) / 1e3, span.step,
        span.amount);
    if (span.phase == StepPhase::Plan) steps[span.step].tokens = span.amount;
    if (span.phase == StepPhase::Launch) steps[span.step].begin_ns = span.begin_ns;
    if (span.phase == StepPhase::Wait) steps[span.step].end_ns = span.end_ns;
  }
  for (const auto& [number, step] : steps) {
    if (step.begin_ns == 0 || step.end_ns == 0) continue;  // a part of it is not in the ring
    // Two steps can be under way at once: as asynchronous events each gets a row of its own.
    for (const auto& [mark, at] : {std::pair('b', step.begin_ns), std::pair('e', step.end_ns)})
      out += fmt::format(
          "{{\"ph\":\"{}\",\"cat\":\"step\",\"id\":{},\"pid\":1,\"tid\":{},\"name\":\"step of {} "
          "tokens\",\"ts\":{:.3f}}},\n",
          mark, number, kSteps, step.tokens, us(at));
  }
  if (out.ends_with(",\n")) out.resize(out.size() - 2);
  return out + "\n]}\n";
}

Status write_chrome_trace(const std::string& path, const StepTrace& trace,
                          const std::string& process_name) {
  std::ofstream file(path, std::ios::binary);
  file << chrome_trace(trace.snapshot(), process_name);
  if (!file.flush()) return fail(ErrorCode::InvalidArgument, "{}: cannot be written", path);
  return {};
}

}  // namespace millrace
