// Where the step thread's time goes: a ring of the last spans, written by that thread alone and
// read by any, for trace viewers. Writing takes two clock readings and a few stores; it never
// allocates, locks or waits.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/error.h"

namespace millrace {

enum class StepPhase : std::uint8_t {
  Intake,   // takes new requests, drops cancelled ones, admits
  Plan,     // chooses what the next step computes
  Launch,   // packs it and hands it to the device; on a CPU that computes it
  Wait,     // for the device
  Sample,   // chooses tokens on the host
  Deliver,  // turns tokens into text and hands them over
  Device,   // not the step thread: the device, from where the step's forward pass was queued on
  Idle,     // nothing to do: sleeps until a request comes
};
const char* to_string(StepPhase phase);

struct TraceSpan {
  StepPhase phase = StepPhase::Plan;
  std::uint64_t step = 0;     // counted from 1; 0: none
  std::int64_t amount = 0;    // Plan: tokens of the step; Deliver: tokens delivered
  std::int64_t begin_ns = 0;  // of the steady clock
  std::int64_t end_ns = 0;
};

class StepTrace {
 public:
  using Clock = std::chrono::steady_clock;

  // Keeps the last `capacity` spans.
  explicit StepTrace(std::size_t capacity);

  // The writing thread only.
  void add(const TraceSpan& span);

  // What is there now, oldest first. Spans that are overwritten meanwhile are left out.
  std::vector<TraceSpan> snapshot() const;

 private:
  // A span behind a sequence lock: `version` is odd while it is written.
  struct Slot {
    std::atomic<std::uint64_t> version = 0;
    std::atomic<std::uint64_t> step = 0;
    std::atomic<std::int64_t> amount = 0, begin_ns = 0, end_ns = 0;
    std::atomic<StepPhase> phase = StepPhase::Plan;
  };
  std::size_t capacity_;
  std::unique_ptr<Slot[]> slots_;
  std::atomic<std::uint64_t> written_ = 0;
};

// Times a phase until it goes out of scope; does nothing without a trace.
class TracedPhase {
 public:
  TracedPhase(StepTrace* trace, StepPhase phase, std::uint64_t step) : trace_(trace) {
    if (!trace_) return;
    span_ = {.phase = phase, .step = step, .begin_ns = now_ns()};
  }
  ~TracedPhase() { end(); }
  TracedPhase(const TracedPhase&) = delete;
  TracedPhase& operator=(const TracedPhase&) = delete;

  void set_amount(std::int64_t amount) { span_.amount = amount; }
  // It has turned out to be nothing worth a span.
  void drop() { trace_ = nullptr; }
  void end() {
    if (!trace_) return;
    span_.end_ns = now_ns();
    trace_->add(span_);
    trace_ = nullptr;
  }

 private:
  static std::int64_t now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               StepTrace::Clock::now().time_since_epoch())
        .count();
  }
  StepTrace* trace_;
  TraceSpan span_;
};

// The format that Perfetto (https://ui.perfetto.dev) and chrome://tracing open: one row for the
// step thread, one for steps from launch to the end of their wait, and one for the device where it
// has times of its own.
std::string chrome_trace(const std::vector<TraceSpan>& spans, const std::string& process_name);
// The same into a file.
Status write_chrome_trace(const std::string& path, const StepTrace& trace,
                          const std::string& process_name);

}  // namespace millrace
