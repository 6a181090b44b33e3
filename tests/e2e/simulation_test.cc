// The simulation plans the steps that the engine plans, with the same scheduler over the same
// caches: what it says of policies holds.
#include <gtest/gtest.h>

#include "tests/support/golden_data.h"
#include "tools/serve_sim/measured.h"
#include "tools/serve_sim/reuse.h"

namespace millrace::sim {
namespace {

using millrace::testing::repository_path;

// Prompts of which half share a beginning, a quarter of those to their middle.
Trace shared_trace() {
  Trace trace = single_prompts(40, 50, 24, 0, 9);
  const std::vector<TokenId> common = single_prompts(1, 60, 1, 0, 2).front().prompt;
  for (std::size_t i = 0; i < trace.size(); i += 2) {
    const auto length = static_cast<std::ptrdiff_t>(i % 8 == 0 ? common.size() / 2 : common.size());
    trace[i].prompt.insert(trace[i].prompt.begin(), common.begin(), common.begin() + length);
  }
  for (TracedRequest& request : trace)
    request.priority = static_cast<int>(request.prompt.size() % 3);
  return trace;
}

TEST(Simulation, PlansWhatTheEnginePlans) {
  for (const std::int64_t cache_tokens : {2048, 512}) {
    EngineOptions options;
    options.model = repository_path("models/nano");
    options.device = "cpu";
    options.threads = 1;
    options.context = 400;
    options.cache_tokens = cache_tokens;
    options.max_sequences = 6;
    options.step_budget = 64;
    auto engine = Engine::open(options);
    ASSERT_TRUE(engine.has_value());
    const Trace trace = shared_trace();
    const Simulated told =
        simulate(behind_plug(trace), simulated_engine_for(options, (*engine)->model().config()));
    const Simulated measured = run_on_engine(**engine, trace);
    // The request that makes sure of the engine's numbers is a step, if they come after it.
    EXPECT_NEAR(static_cast<double>(measured.steps), static_cast<double>(told.steps), 2);
    EXPECT_EQ(measured.preemptions, told.preemptions);
    EXPECT_EQ(told.preemptions > 0, cache_tokens == 512);
    for (std::size_t i = 0; i < trace.size(); ++i) {
      EXPECT_EQ(measured.requests[i].cached, told.requests[i + 1].cached) << i;
      EXPECT_EQ(measured.requests[i].replayed, told.requests[i + 1].replayed) << i;
      EXPECT_EQ(measured.requests[i].admissions, told.requests[i + 1].admissions) << i;
    }
  }
}

TEST(Simulation, ReuseByRule) {
  // One text of 100 tokens, then one that leaves it after 90.
  Trace trace = single_prompts(2, 100, 4, 0, 1);
  trace[0].prompt.resize(100, 7);
  trace[1].prompt = trace[0].prompt;
  trace[1].prompt.resize(90);
  trace[1].prompt.push_back(2000);
  trace[1].prompt.push_back(2001);
  EXPECT_EQ(reuse_of(trace, {.name = "", .replay = 20}).hit, 90);
  EXPECT_EQ(reuse_of(trace, {.name = "", .replay = 20}).replayed, 20);
  EXPECT_EQ(reuse_of(trace, {.name = "", .grid = 64}).hit, 64);
  EXPECT_EQ(reuse_of(trace, {.name = "", .prompt_ends = true, .answer_ends = true}).hit, 0);
  EXPECT_EQ(reuse_of(trace, {.name = "", .step = 50, .block = 16}).hit, 48);
}

}  // namespace
}  // namespace millrace::sim
