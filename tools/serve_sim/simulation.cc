#include "tools/serve_sim/simulation.h"

#include <algorithm>
#include <map>
#include <memory>
#include <queue>

#include "base/check.h"
#include "device/cpu/cpu_device.h"
#include "engine/cache_ledger.h"

namespace millrace::sim {
namespace {

struct SimulatedSequence final : Sequence {
  std::size_t index = 0;  // in the trace
};

// Block tables and prefixes as they are, without a byte of keys or values behind them.
CacheGeometry bare_geometry(const SimulatedEngine& engine) {
  CacheGeometry geometry;
  geometry.conv_layers = engine.conv_layers;
  geometry.taps = engine.taps;
  geometry.draft_columns = engine.draft_columns;
  return geometry;
}

class Simulation {
 public:
  Simulation(const Trace& trace, const SimulatedEngine& engine)
      : trace_(trace),
        engine_(engine),
        device_(make_cpu_device(1)),
        storage_(*device_, bare_geometry(engine), static_cast<std::int32_t>(engine.blocks),
                 engine.slots),
        ledger_(storage_, {.context = engine.context, .keep_prefixes = engine.keep_prefixes},
                [this](RequestId id) -> Sequence& { return *sequences_.at(id); }),
        scheduler_(engine.limits, ledger_, engine.policy) {
    result_.requests.resize(trace.size());
  }

  Simulated run() {
    for (std::size_t i = 0; i < trace_.size(); ++i)
      if (trace_[i].turn == 0) coming_.push({trace_[i].arrival, i});
    while (!coming_.empty() || !scheduler_.idle()) {
      for (; !coming_.empty() && coming_.top().first <= now_; coming_.pop())
        submit(coming_.top().second, coming_.top().first);
      const auto plan = scheduler_.next_plan();
      if (plan.empty()) {
        check(!coming_.empty(), "requests wait and nothing can be done for them");
        now_ = std::max(now_, coming_.top().first);
        continue;
      }
      step(plan);
    }
    result_.seconds = now_;
    result_.preemptions = scheduler_.preemptions();
    return std::move(result_);
  }

 private:
  void submit(std::size_t index, double arrival) {
    const TracedRequest& request = trace_[index];
    auto sequence = std::make_unique<SimulatedSequence>();
    // In the order of the trace among those that come at once, as ids break ties.
    sequence->id = next_id_++;
    sequence->index = index;
    sequence->tokens = request.prompt;
    sequence->prompt_length = std::ssize(request.prompt);
    sequence->max_length = sequence->prompt_length + std::ssize(request.answer);
    check(sequence->max_length <= engine_.context, "a traced request is longer than the context");
    result_.requests[index].arrival = arrival;
    result_.requests[index].steps_waited = scheduler_.steps();
    scheduler_.submit(
        {.id = sequence->id, .tokens = sequence->prompt_length, .priority = request.priority});
    const RequestId id = sequence->id;
    sequences_.emplace(id, std::move(sequence));
  }

  void step(std::span<const PlanSpan> plan) {
    struct Part {
      SimulatedSequence* sequence;
      SequenceLease* lease;
      SpanKind kind;
      std::int64_t computed;
      bool token;
    };
    std::vector<Part> parts;
    std::int64_t rows = 0;
    double context = 0;
    for (const PlanSpan& span : plan) {
      SequenceLease& lease = sequence_lease(*span.lease);
      (void)lease.memory.take_copy();
      auto& sequence = static_cast<SimulatedSequence&>(*lease.sequence);
      SimulatedRequest& told = result_.requests[sequence.index];
      if (told.admissions == 0) told.steps_waited = scheduler_.steps() - told.steps_waited;
      told.admissions = sequence.admissions;
      if (span.kind == SpanKind::Replay)
        lease.memory.replayed();
      else
        lease.memory.appended(span.count);
      parts.push_back({&sequence, &lease, span.kind, span.first + span.count, span.wants_logits});
      rows += span.count;
      context += static_cast<double>(span.count) *
                 (static_cast<double>(span.first) + static_cast<double>(span.count) / 2);
    }
    scheduler_.begun();
    now_ += engine_.cost.of(rows, context);
    ++result_.steps;
    result_.rows += rows;
    for (const Part& part : parts) {
      if (part.kind == SpanKind::Prefill) ledger_.computed(*part.lease, part.computed);
      if (part.token) take_token(*part.sequence);
    }
  }

  void take_token(SimulatedSequence& sequence) {
    const TracedRequest& request = trace_[sequence.index];
    SimulatedRequest& told = result_.requests[sequence.index];
    const auto answered = sequence.tokens.size() - request.prompt.size();
    if (answered == 0) told.first_token = now_;
    sequence.tokens.push_back(request.answer[answered]);
    if (answered + 1 < request.answer.size()) return;
    told.end = now_;
    told.prompt = sequence.prompt_length;
    told.cached = sequence.cached_tokens;
    told.replayed = sequence.replayed_tokens;
    told.admissions = sequence.admissions;
    told.answer = std::ssize(request.answer);
    const std::size_t index = sequence.index;
    ledger_.release(scheduler_.end(sequence.id));
    sequences_.erase(sequence.id);
    const std::size_t next = index + 1;
    if (next < trace_.size() && trace_[next].conversation == request.conversation)
      coming_.push({now_ + trace_[next].arrival, next});
  }

  const Trace& trace_;
  const SimulatedEngine& engine_;
  std::unique_ptr<Device> device_;
  CacheStorage storage_;
  std::map<RequestId, std::unique_ptr<SimulatedSequence>> sequences_;
  CacheLedger ledger_;
  Scheduler scheduler_;
  std::priority_queue<std::pair<double, std::size_t>, std::vector<std::pair<double, std::size_t>>,
                      std::greater<>>
      coming_;
  double now_ = 0;
  RequestId next_id_ = 1;
  Simulated result_;
};

}  // namespace

Simulated simulate(const Trace& trace, const SimulatedEngine& engine) {
  return Simulation(trace, engine).run();
}

double quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const auto at = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1));
  return values[at];
}

}  // namespace millrace::sim
