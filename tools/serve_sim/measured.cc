#include "tools/serve_sim/measured.h"

#include <atomic>
#include <chrono>
#include <thread>

#include "base/check.h"
#include "engine/parts.h"

namespace millrace::sim {

SimulatedEngine simulated_engine_for(const EngineOptions& options, const ModelConfig& config) {
  const Result<EngineSizes> sizes = engine_sizes(config, options);
  check(sizes.has_value(), "an engine with these options is open");
  const CacheGeometry geometry = config.cache_geometry(sizes->kv_dtype, sizes->draft_columns);
  SimulatedEngine engine;
  engine.limits = {.step_budget = sizes->limits.max_rows,
                   .max_running = sizes->limits.max_spans,
                   .replay_tokens = geometry.replay_tokens()};
  engine.policy = options.policy;
  engine.context = sizes->context;
  engine.blocks = sizes->blocks;
  engine.slots = sizes->slots;
  engine.conv_layers = geometry.conv_layers;
  engine.taps = geometry.taps;
  engine.draft_columns = geometry.draft_columns;
  engine.keep_prefixes = options.keep_prefixes;
  return engine;
}

Simulated run_on_engine(Engine& engine, const Trace& trace) {
  using Clock = std::chrono::steady_clock;
  Simulated result;
  result.requests.resize(trace.size());
  std::atomic<bool> holds = false, go = false;
  Request plug;
  plug.prompt = {1};
  plug.max_tokens = 1;
  plug.ignore_eos = true;
  Result<Answer> held = engine.submit(std::move(plug), [&](const TokenEvent&) {
    holds = true;
    while (!go) std::this_thread::yield();
  });
  check(held.has_value(), "a request of one token");
  while (!holds) std::this_thread::yield();
  std::vector<Answer> answers;
  for (const TracedRequest& traced : trace) {
    Request request;
    request.prompt = traced.prompt;
    request.max_tokens = std::ssize(traced.answer);
    request.priority = traced.priority;
    request.ignore_eos = true;
    Result<Answer> answer = engine.submit(std::move(request), nullptr);
    check(answer.has_value(), "a traced request is refused");
    answers.push_back(std::move(*answer));
  }
  const EngineStats before = engine.stats();
  const Clock::time_point start = Clock::now();
  go = true;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const Completion& completion = answers[i].wait();
    const Usage& usage = completion.usage;
    SimulatedRequest& told = result.requests[i];
    told.first_token = usage.first_token_seconds;
    told.end = usage.total_seconds;
    told.prompt = usage.prompt_tokens;
    told.cached = usage.cached_tokens;
    told.replayed = usage.replayed_tokens;
    told.admissions = 1 + usage.preemptions;
    told.answer = usage.completion_tokens;
  }
  result.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  // Its numbers are published before the next step: a last request makes sure that they are.
  Request last;
  last.prompt = {1};
  last.max_tokens = 1;
  last.ignore_eos = true;
  engine.submit(std::move(last), nullptr)->wait();
  const EngineStats after = engine.stats();
  result.steps = static_cast<std::int64_t>(after.steps - before.steps);
  result.preemptions = after.preemptions - before.preemptions;
  return result;
}

}  // namespace millrace::sim
