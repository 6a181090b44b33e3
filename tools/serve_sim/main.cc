// What can be said of serving without serving: how much caches reuse by the rule they follow, what
// policies do to 10,000 requests, and whether the simulation says what the engine does.
#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <string>

#include "engine/engine.h"
#include "tools/serve_sim/measured.h"
#include "tools/serve_sim/reuse.h"
#include "tools/serve_sim/simulation.h"

namespace millrace::sim {
namespace {

int usage() {
  fmt::print(stderr,
             "serve_sim reuse             hit and recomputed tokens, by the rule for conv states\n"
             "serve_sim policies [COUNT]  policies on COUNT requests (10000)\n"
             "serve_sim check MODEL       steps and seconds, simulated and on the CPU\n");
  return 2;
}

int show_reuse() {
  struct Case {
    const char* name;
    TraceOptions options;
  };
  const Case cases[] = {
      {"agents, 30 turns", {.conversations = 100, .turns = 30}},
      {"agents, 30 turns, thoughts stripped",
       {.conversations = 100, .turns = 30, .answer_tokens = 400, .thought_tokens = 250}},
      {"agents, 30 turns, 30% edit their history",
       {.conversations = 100, .turns = 30, .edits = 0.3}},
      {"one turn, one system prompt", {.conversations = 3000, .turns = 1}},
  };
  const ReuseRule rules[] = {
      {.name = "any token (ours)", .replay = 20, .answer_ends = true},
      {.name = "state at ends of prompts and answers", .prompt_ends = true, .answer_ends = true},
      {.name = "state at step ends, in blocks of 16", .step = 2048, .block = 16},
      {.name = "state every 512 tokens", .grid = 512},
      {.name = "state every 64 tokens", .grid = 64},
  };
  fmt::print(
      "| trace | rule | prompt tokens | hit | computed | replayed | run in all |\n"
      "|---|---|---|---|---|---|---|\n");
  for (const Case& each : cases) {
    const Trace trace = conversations(each.options);
    for (const ReuseRule& rule : rules) {
      const Reuse reuse = reuse_of(trace, rule);
      const auto prompt = static_cast<double>(reuse.prompt);
      fmt::print("| {} | {} | {} | {:.1f}% | {} | {} | {:.1f}% |\n", each.name, rule.name,
                 reuse.prompt, 100 * static_cast<double>(reuse.hit) / prompt, reuse.computed,
                 reuse.replayed,
                 100 * static_cast<double>(reuse.computed + reuse.replayed) / prompt);
    }
  }
  return 0;
}

void show_policy(const std::string& name, const Trace& trace, const SimulatedEngine& engine) {
  const Simulated done = simulate(trace, engine);
  std::vector<double> first, per_token;
  std::int64_t prompt = 0, cached = 0, replayed = 0;
  for (const SimulatedRequest& request : done.requests) {
    first.push_back(request.first_token - request.arrival);
    if (request.answer > 1)
      per_token.push_back((request.end - request.first_token) /
                          static_cast<double>(request.answer - 1));
    prompt += request.prompt;
    cached += request.cached;
    replayed += request.replayed;
  }
  fmt::print(
      "| {} | {:.1f} | {:.0f} | {:.0f} | {:.0f} | {:.2f} | {:.2f} | {:.1f}% | {} | {} |\n", name,
      done.seconds, 1e3 * quantile(first, 0.5), 1e3 * quantile(first, 0.95),
      1e3 * quantile(first, 0.99), 1e3 * quantile(per_token, 0.5), 1e3 * quantile(per_token, 0.99),
      100 * static_cast<double>(cached) / static_cast<double>(prompt), replayed, done.preemptions);
  std::fflush(stdout);
}

int show_policies(std::int64_t count) {
  SimulatedEngine engine;  // an H200 with LFM2-1.2B, roughly: docs/gpu.md has the measured steps
  engine.limits = {.step_budget = 2048, .max_running = 64, .replay_tokens = 20};
  engine.context = 32768;
  engine.blocks = 16384;
  engine.slots = 96;
  TraceOptions options;
  options.conversations = count / 10;
  options.turns = 10;
  options.rate = 24;
  const Trace agents = conversations(options);
  // Long prompts among short ones.
  Trace mixed = single_prompts(count, 300, 100, 120, 5);
  for (std::size_t i = 0; i < mixed.size(); i += 20) {
    const Trace longer = single_prompts(1, 9000, 100, 1, i + 7);
    mixed[i].prompt = longer.front().prompt;
  }
  const std::pair<const char*, const Trace*> loads[] = {{"agents of 10 turns", &agents},
                                                        {"short prompts, one in 20 long", &mixed}};
  for (const auto& [name, trace] : loads) {
    fmt::print("\n{}: {} requests\n\n", name, trace->size());
    fmt::print(
        "| policy | seconds | TTFT p50 ms | p95 | p99 | TPOT p50 ms | p99 | hit | replayed | "
        "preempted |\n|---|---|---|---|---|---|---|---|---|---|\n");
    show_policy("default", *trace, engine);
    SimulatedEngine fifo = engine;
    fifo.policy.first_prompt_share = 1;
    show_policy("first come, first served", *trace, fifo);
    SimulatedEngine none = engine;
    none.keep_prefixes = false;
    show_policy("no prefix cache", *trace, none);
    SimulatedEngine small = engine;
    small.blocks = 4096;
    show_policy("a quarter of the cache", *trace, small);
    small.policy.spare_blocks_per_answer = 0;
    show_policy("a quarter, no spare blocks", *trace, small);
    SimulatedEngine budget = engine;
    budget.limits.step_budget = 512;
    show_policy("steps of 512 tokens", *trace, budget);
  }
  return 0;
}

int check_engine(const std::string& model) {
  EngineOptions options;
  options.model = model;
  options.device = "cpu";
  options.threads = 1;
  options.context = 512;
  options.cache_tokens = 2048;
  options.max_sequences = 8;
  options.step_budget = 64;
  Result<std::unique_ptr<Engine>> engine = Engine::open(options);
  if (!engine) {
    fmt::print(stderr, "serve_sim: {}\n", engine.error().message);
    return 1;
  }
  SimulatedEngine simulated = simulated_engine_for(options, (*engine)->model().config());
  const auto fresh = [&](std::int64_t count, std::int64_t prompt, std::int64_t answer,
                         std::uint64_t seed) {
    Trace trace = single_prompts(count, prompt, answer, 0, seed);
    for (TracedRequest& request : trace)
      for (TokenId& token : request.prompt)
        token = 3 + token % static_cast<TokenId>((*engine)->model().config().vocab - 3);
    return trace;
  };
  // Two loads give the two terms of a step's cost: many steps of few tokens, few of many.
  const Trace decodes = fresh(32, 8, 60, 1);
  const Trace prompts = fresh(60, 120, 2, 2);
  const auto seconds_of = [&](const Trace& trace) {
    return run_on_engine(**engine, trace).seconds;
  };
  seconds_of(decodes);  // warm
  const double a = seconds_of(decodes), b = seconds_of(prompts);
  const Simulated sa = simulate(decodes, simulated), sb = simulate(prompts, simulated);
  const auto steps = [](const Simulated& s) { return static_cast<double>(s.steps); };
  const auto rows = [](const Simulated& s) { return static_cast<double>(s.rows); };
  const double determinant = steps(sa) * rows(sb) - steps(sb) * rows(sa);
  simulated.cost.fixed = std::max(0.0, (a * rows(sb) - b * rows(sa)) / determinant);
  simulated.cost.per_row = std::max(0.0, (steps(sa) * b - steps(sb) * a) / determinant);
  simulated.cost.per_context = 0;
  fmt::print("a step takes {:.0f} us and {:.1f} us a token\n", simulated.cost.fixed * 1e6,
             simulated.cost.per_row * 1e6);
  const Trace mixed = fresh(100, 60, 30, 3);
  if (!(*engine)->reset_prefix_cache()) return 1;
  const Simulated measured = run_on_engine(**engine, mixed);
  const Simulated told = simulate(mixed, simulated);
  const auto mean_first = [](const Simulated& s) {
    double sum = 0;
    for (const SimulatedRequest& request : s.requests) sum += request.first_token - request.arrival;
    return sum / static_cast<double>(s.requests.size());
  };
  fmt::print(
      "100 mixed requests: {} steps, simulated {}; {:.3f} s, simulated {:.3f} ({:+.0f}%); "
      "mean time to first token {:.3f} s, simulated {:.3f} ({:+.0f}%)\n",
      measured.steps, told.steps, measured.seconds, told.seconds,
      100 * (told.seconds / measured.seconds - 1), mean_first(measured), mean_first(told),
      100 * (mean_first(told) / mean_first(measured) - 1));
  return 0;
}

}  // namespace
}  // namespace millrace::sim

int main(int argc, char** argv) {
  using namespace millrace::sim;
  const std::string command = argc > 1 ? argv[1] : "";
  if (command == "reuse") return show_reuse();
  if (command == "policies") return show_policies(argc > 2 ? std::stoll(argv[2]) : 10000);
  if (command == "check" && argc > 2) return check_engine(argv[2]);
  return usage();
}
