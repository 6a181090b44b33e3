// A discrete-event simulation of the engine: its own scheduler, ledger and prefix tree, requests
// from a trace, and a step's time from a formula instead of a model.
#pragma once

#include <cstdint>
#include <vector>

#include "scheduler/scheduler.h"
#include "tools/serve_sim/traces.h"

namespace millrace::sim {

// Seconds of a step.
struct StepCost {
  double fixed = 0.6e-3;
  double per_row = 4e-6;       // a token
  double per_context = 3e-10;  // a position attended to by one token
  double of(std::int64_t rows, double context) const {
    return fixed + per_row * static_cast<double>(rows) + per_context * context;
  }
};

struct SimulatedEngine {
  SchedulerLimits limits;
  SchedulerPolicy policy;
  std::int64_t context = 4096;
  std::int64_t blocks = 4096;
  std::int32_t slots = 24;
  int conv_layers = 10;
  int taps = 3;
  int draft_columns = 7;
  bool keep_prefixes = true;
  StepCost cost;
};

struct SimulatedRequest {
  double arrival = 0, first_token = 0, end = 0;
  std::int64_t prompt = 0, cached = 0, replayed = 0, admissions = 0, answer = 0;
  std::int64_t steps_waited = 0;  // until it was admitted
};

struct Simulated {
  std::vector<SimulatedRequest> requests;  // by place in the trace
  double seconds = 0;
  std::int64_t steps = 0;
  std::int64_t rows = 0;
  std::uint64_t preemptions = 0;
};

Simulated simulate(const Trace& trace, const SimulatedEngine& engine);

// The value below which that share of the values lies.
double quantile(std::vector<double> values, double share);

}  // namespace millrace::sim
