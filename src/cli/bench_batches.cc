#include "cli/bench_batches.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/json.h"
#include "base/progress.h"
#include "cli/bench_report.h"

namespace millrace::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

class Batches {
 public:
  Batches(Engine& engine, const BatchOptions& options) : engine_(engine), options_(options) {}

  // Seconds until `count` requests have all got `tokens` tokens.
  Result<double> run(std::int64_t count, std::int64_t tokens) {
    std::vector<Request> requests;
    for (std::int64_t i = 0; i < count; ++i) {
      Request request;
      for (std::int64_t t = 0; t < options_.input; ++t) request.prompt.push_back(next_token());
      request.max_tokens = tokens;
      request.ignore_eos = true;
      request.sampling = options_.sampling;
      requests.push_back(std::move(request));
    }
    std::vector<Answer> answers;
    answers.reserve(requests.size());
    const Clock::time_point start = Clock::now();
    for (Request& request : requests)
      answers.push_back(MILLRACE_TRY(engine_.submit(std::move(request), nullptr)));
    for (Answer& answer : answers) {
      const Completion& completion = answer.wait();
      if (completion.finish == FinishReason::Failed)
        return fail(ErrorCode::Unavailable, "bench: a request failed: {}", completion.error);
    }
    return seconds_since(start);
  }

 private:
  TokenId next_token() {
    random_ = random_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<TokenId>((random_ >> 33) %
                                static_cast<std::uint64_t>(engine_.files().config.vocab));
  }

  Engine& engine_;
  const BatchOptions& options_;
  std::uint64_t random_ = 1;
};

struct Row {
  std::int64_t concurrency;
  Spread tpot, output, prefill;  // seconds, tokens a second
};

Spread over(double amount, const Spread& seconds) {
  return {amount / seconds.median, amount / seconds.max, amount / seconds.min};
}

Json as_json(const Spread& spread) {
  return {spread.median, spread.min, spread.max};
}

}  // namespace

Status bench_batches(const ModelOptions& model, const BatchOptions& options) {
  EngineOptions engine_options = MILLRACE_TRY(model.resolve());
  const std::int64_t most =
      *std::max_element(options.concurrency.begin(), options.concurrency.end());
  if (options.brief >= options.output)
    return fail(ErrorCode::InvalidArgument, "--brief must be less than --output: found {} and {}",
                options.brief, options.output);
  const std::int64_t length = options.input + options.output + 1;
  if (engine_options.context == 0) engine_options.context = length;
  engine_options.max_sequences = most;
  engine_options.cache_tokens = most * (length + 16);
  engine_options.keep_prefixes = false;
  if (!options.trace.empty()) engine_options.trace_spans = 1 << 18;
  const Clock::time_point start = Clock::now();
  const std::unique_ptr<Engine> engine = MILLRACE_TRY(Engine::open(engine_options));
  const double load_seconds = seconds_since(start);
  Batches batches(*engine, options);
  MILLRACE_TRY(batches.run(1, 1));
  const double first_token_seconds = seconds_since(start);

  std::vector<Row> rows;
  Progress progress("benchmarking", options.concurrency.size(), Progress::Unit::Items);
  for (const std::int64_t c : options.concurrency) {
    MILLRACE_TRY(batches.run(c, 8));  // warms this size
    std::vector<double> one, brief, whole, tpot;
    for (int i = 0; i < options.repetitions; ++i) {
      one.push_back(MILLRACE_TRY(batches.run(c, 1)));
      brief.push_back(MILLRACE_TRY(batches.run(c, options.brief)));
      whole.push_back(MILLRACE_TRY(batches.run(c, options.output)));
      tpot.push_back((whole.back() - brief.back()) /
                     static_cast<double>(options.output - options.brief));
    }
    rows.push_back({.concurrency = c,
                    .tpot = spread_of(tpot),
                    .output = over(static_cast<double>(c * options.output), spread_of(whole)),
                    .prefill = over(static_cast<double>(c * options.input), spread_of(one))});
    progress.advance(1);
  }
  if (engine->trace())
    MILLRACE_TRY(write_chrome_trace(options.trace, *engine->trace(), "millrace bench"));
  if (options.json) {
    Json list = Json::array();
    for (const Row& row : rows)
      list.push_back({{"concurrency", row.concurrency},
                      {"tpot_s", as_json(row.tpot)},
                      {"output_tokens_per_second", as_json(row.output)},
                      {"prefill_tokens_per_second", as_json(row.prefill)}});
    fmt::print("{}\n", Json{{"model", engine_options.model},
                            {"device", engine->device().name},
                            {"input", options.input},
                            {"output", options.output},
                            {"load_s", load_seconds},
                            {"first_token_s", first_token_seconds},
                            {"rows", std::move(list)}}
                           .dump(2));
    return {};
  }
  fmt::print(
      "{} | {} | {} in, {} out | loaded in {:.2f} s, first token after {:.2f} s\n"
      "{:>5} {:>27} {:>27} {:>12} {:>27}\n",
      engine_options.model, engine->device().name, options.input, options.output, load_seconds,
      first_token_seconds, "c", "TPOT ms [min, max]", "output tok/s", "decode tok/s",
      "prefill tok/s");
  const auto text = [](const Spread& s, double unit, int digits) {
    return fmt::format("{:.{}f} [{:.{}f}, {:.{}f}]", s.median * unit, digits, s.min * unit, digits,
                       s.max * unit, digits);
  };
  for (const Row& row : rows)
    fmt::print("{:>5} {:>27} {:>27} {:>12.0f} {:>27}\n", row.concurrency, text(row.tpot, 1e3, 3),
               text(row.output, 1, 0), static_cast<double>(row.concurrency) / row.tpot.median,
               text(row.prefill, 1, 0));
  return {};
}

}  // namespace millrace::cli
