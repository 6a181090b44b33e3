// `millrace bench`: how fast, and how far from what this machine allows.
#include <fmt/format.h>

#include <chrono>
#include <fstream>

#include "base/json.h"
#include "base/progress.h"
#include "base/thread_pool.h"
#include "cli/bench_batches.h"
#include "cli/bench_peer.h"
#include "cli/bench_report.h"
#include "cli/bench_serve.h"
#include "cli/bench_steps.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "device/open_device.h"
#include "engine/parts.h"
#include "ops/machine_ceilings.h"
#include "ops/op_timing.h"

namespace millrace::cli {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

struct BenchOptions {
  ModelOptions model;
  std::vector<std::int64_t> prefill = {128, 512};
  std::vector<std::int64_t> batches = {1, 4};
  std::vector<std::int64_t> contexts = {0, 1024};
  int repetitions = 5;
  std::int64_t decode_steps = 16;
  bool json = false;
  std::string svg;
  std::string peer;                         // a program to measure beside
  std::string peer_model;                   // its file, if it is another
  std::vector<std::string> peer_arguments;  // further ones for it
  std::optional<std::string> ops;           // time single ops whose case holds this text
};

// What was measured of it: copies on GPUs, arithmetic on CPUs.
std::string to_text(const MachineCeilings& ceilings) {
  std::string text = fmt::format("read {:.1f} GB/s", ceilings.read_gb_s);
  if (ceilings.copy_gb_s > 0) text += fmt::format(", copy {:.1f} GB/s", ceilings.copy_gb_s);
  if (ceilings.gflop_s > 0) text += fmt::format(", {:.0f} GFLOP/s (f32 FMA)", ceilings.gflop_s);
  return text;
}

// Full-size cases of single ops, beside what the machine allows.
Status bench_ops(const BenchOptions& options) {
  const std::unique_ptr<Device> device =
      MILLRACE_TRY(open_device(options.model.device, options.model.threads));
  const MachineCeilings ceilings = measure_ceilings(*device);
  OpTimingOptions timing;
  timing.filter = *options.ops;
  if (!device->uses_host_memory()) timing.activation = DType::BF16;
  for (const std::string& kernel : options.model.kernels)  // "op=name"
    timing.kernel = kernel.substr(kernel.find('=') + 1);
  const std::vector<OpTiming> timings = MILLRACE_TRY(time_op_cases(*device, timing));
  Json rows = Json::array();
  if (!options.json)
    fmt::print("{} | {} activations | measured here: {}\n{:<62} {:<11} {:>9} {:>8} {:>8} {:>9}\n",
               device->traits().name, to_string(timing.activation), to_text(ceilings), "case",
               "kernel", "ms", "GB/s", "of read", "GFLOP/s");
  for (const OpTiming& t : timings) {
    if (options.json)
      rows.push_back({{"op", t.op},
                      {"case", t.name},
                      {"kernel", t.kernel},
                      {"bytes", t.bytes},
                      {"flops", t.flops},
                      {"median_ms", t.median_s * 1e3},
                      {"min_ms", t.min_s * 1e3},
                      {"max_ms", t.max_s * 1e3},
                      {"gb_per_second", t.gb_s()},
                      {"gflop_per_second", t.gflop_s()}});
    else
      fmt::print("{:<62} {:<11} {:>9.4f} {:>8.1f} {:>7.0f}% {:>9.1f}\n",
                 fmt::format("{} {}", t.op, t.name), t.kernel, t.median_s * 1e3, t.gb_s(),
                 t.gb_s() / ceilings.read_gb_s * 100, t.gflop_s());
  }
  if (options.json)
    fmt::print("{}\n", Json{{"device", device->traits().name},
                            {"activation", to_string(timing.activation)},
                            {"read_gb_per_second", ceilings.read_gb_s},
                            {"copy_gb_per_second", ceilings.copy_gb_s},
                            {"peak_gflop_per_second", ceilings.gflop_s},
                            {"cases", std::move(rows)}}
                           .dump(2));
  return {};
}

// What is to be measured, and what was.
struct Measured {
  StepTest test;
  std::vector<double> seconds;     // of a step, a repetition each
  std::vector<double> peer_rates;  // tokens a second
  double device_seconds = 0;
};

std::vector<Measured> tests_of(const BenchOptions& options) {
  std::vector<Measured> tests;
  for (const std::int64_t tokens : options.prefill) tests.push_back({{.prefill = tokens}, {}, {}});
  for (const std::int64_t context : options.contexts)
    for (const std::int64_t batch : options.batches)
      tests.push_back(
          {{.batch = batch, .context = context, .steps = options.decode_steps}, {}, {}});
  return tests;
}

// The peer, if one is asked for: on the same file, with the same number of threads.
Result<std::optional<LlamaBench>> make_peer(const BenchOptions& options, const std::string& model) {
  if (options.peer.empty()) return std::nullopt;
  const std::string& file = options.peer_model.empty() ? model : options.peer_model;
  if (!file.ends_with(".gguf"))
    return fail(ErrorCode::InvalidArgument,
                "--peer: llama-bench reads GGUF files, {} is none; `millrace quantize` makes one "
                "for both, or name the peer's with --peer-model",
                file);
  const int threads = options.model.threads > 0 ? options.model.threads : available_cores();
  return LlamaBench({options.peer, file, threads, options.peer_arguments});
}

// Tests take turns, and each with the peer's, so that what disturbs the machine disturbs all.
Status run_tests(StepBench& bench, std::optional<LlamaBench>& peer, int repetitions,
                 std::vector<Measured>& tests) {
  Progress progress("benchmarking", tests.size() * static_cast<std::size_t>(repetitions + 1),
                    Progress::Unit::Items);
  for (int repetition = -1; repetition < repetitions; ++repetition) {  // the first warms up
    for (Measured& measured : tests) {
      const StepTest& test = measured.test;
      const double seconds = bench.run(test);
      if (repetition >= 0) measured.seconds.push_back(seconds);
      if (repetition + 1 == repetitions) measured.device_seconds = bench.device_seconds(test);
      if (peer && repetition >= 0 && test.batch == 1)
        measured.peer_rates.push_back(MILLRACE_TRY(
            peer->run({.prefill = test.prefill, .context = test.context, .steps = test.steps})));
      progress.advance(1);
    }
  }
  return {};
}

Status bench(const BenchOptions& options) {
  const auto largest = [](const std::vector<std::int64_t>& values) {
    return values.empty() ? std::int64_t{1} : *std::max_element(values.begin(), values.end());
  };
  EngineOptions engine = MILLRACE_TRY(options.model.resolve());
  std::optional<LlamaBench> peer = MILLRACE_TRY(make_peer(options, engine.model));
  const Clock::time_point start = Clock::now();
  LoadedModel files = MILLRACE_TRY(load_model(engine.model, engine.load));
  const std::int64_t decode_tokens = options.decode_steps + 1;
  if (engine.context == 0)
    engine.context =
        std::min(files.config.max_position,
                 std::max(largest(options.prefill), largest(options.contexts) + decode_tokens));
  if (largest(options.contexts) + decode_tokens > engine.context ||
      largest(options.prefill) > engine.context)
    return fail(ErrorCode::InvalidArgument,
                "--context-sizes and --prefill must fit the model's {} positions", engine.context);
  engine.max_sequences = largest(options.batches);
  engine.cache_tokens = engine.max_sequences * (largest(options.contexts) + decode_tokens + 16);
  const std::unique_ptr<EngineParts> parts = MILLRACE_TRY(make_parts(std::move(files), engine));

  BenchReport report;
  report.model = engine.model;
  report.load_seconds = seconds_since(start);
  report.device = parts->device->traits().name;
  report.threads = parts->device->traits().parallelism;
  report.weights = std::string(to_string(parts->model->weights().layers.front().ffn_dtype()));
  report.model_bytes = parts->model->weights().bytes_per_token;
  const MachineCeilings ceilings = measure_ceilings(*parts->device);
  report.read_gb_s = ceilings.read_gb_s;
  report.peak_gflop_s = ceilings.gflop_s;

  StepBench steps(*parts);
  std::vector<Measured> tests = tests_of(options);
  MILLRACE_TRY(run_tests(steps, peer, options.repetitions, tests));
  for (Measured& measured : tests) {
    BenchRow row = steps.row_of(measured.test);
    row.step_seconds = spread_of(std::move(measured.seconds));
    row.peer_rate = spread_of(std::move(measured.peer_rates));
    row.device_seconds = measured.device_seconds;
    report.rows.push_back(std::move(row));
  }
  if (peer) report.peer = peer->name();
  if (options.json)
    fmt::print("{}\n", as_json(report).dump(2));
  else
    fmt::print("{}", as_table(report));
  if (!options.svg.empty()) {
    std::ofstream file(options.svg);
    file << as_svg(report);
    if (!file.flush())
      return fail(ErrorCode::InvalidArgument, "{}: cannot be written", options.svg);
  }
  return {};
}

}  // namespace

Command add_bench(CLI::App& app) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* bench_app = app.add_subcommand(
      "bench", "Prefill and decode speed, beside what this machine's memory and cores allow");
  CLI::Option* model = options->model.add_to(*bench_app);
  model->required(false);
  options->model.add_step_budget_to(*bench_app);
  bench_app->add_option("--ops", options->ops,
                        "Time single ops at full size instead of a model: those whose name holds "
                        "this text; \"\" for all");
  bench_app->add_option("--prefill", options->prefill, "Prompt lengths")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  bench_app->add_option("--batch", options->batches, "Sequences decoded at once")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  bench_app->add_option("--context-sizes", options->contexts, "Cached positions before decoding")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
  bench_app
      ->add_option("-r,--repetitions", options->repetitions, "Timed repetitions, after one warm-up")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  bench_app->add_option("--decode-steps", options->decode_steps, "Steps of one repetition")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  bench_app->add_option("--peer", options->peer,
                        "llama.cpp's llama-bench: measure it too, by turns with the same GGUF "
                        "file and threads, and print the ratio");
  bench_app->add_option("--peer-model", options->peer_model, "GGUF file for the peer, if another");
  bench_app
      ->add_option("--peer-argument", options->peer_arguments,
                   "A further argument for the peer; may be given several times: "
                   "--peer-argument=-fa --peer-argument=1")
      ->allow_extra_args(false);
  auto batches = std::make_shared<BatchOptions>();
  bench_app
      ->add_option("--concurrency", batches->concurrency,
                   "Time batches of so many requests through the whole engine instead of steps")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(CLI::Range(1, 4096));
  bench_app->add_option("--input", batches->input, "Prompt tokens of such a request")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  bench_app->add_option("--output", batches->output, "Answer tokens of such a request")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  bench_app
      ->add_option("--brief", batches->brief,
                   "Answer tokens of the shorter run that is subtracted to get the time of a token")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  bench_app
      ->add_option("--temperature", batches->sampling.temperature,
                   "Of such requests; 0 takes the best token")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  bench_app->add_option("--top-k", batches->sampling.top_k, "Of such requests")
      ->capture_default_str();
  bench_app->add_option("--top-p", batches->sampling.top_p, "Of such requests")
      ->capture_default_str();
  bench_app->add_option("--min-p", batches->sampling.min_p, "Of such requests")
      ->capture_default_str();
  bench_app
      ->add_option("--repetition-penalty", batches->sampling.repetition_penalty, "Of such requests")
      ->capture_default_str();
  bench_app->add_option("--trace", batches->trace,
                        "With --concurrency: write the step thread's timeline, for "
                        "https://ui.perfetto.dev, to this file");
  bench_app->add_flag("--json", options->json, "Print JSON");
  bench_app->add_option("--svg", options->svg, "Also draw the results into this file");
  const Command serve = add_bench_serve(*bench_app);
  return {bench_app, [=]() -> Status {
            if (serve.app->parsed()) return serve.action();
            if (options->ops) return bench_ops(*options);
            if (model->count() == 0)
              return fail(ErrorCode::InvalidArgument, "bench: give a model, or --ops");
            if (!batches->concurrency.empty()) {
              batches->repetitions = options->repetitions;
              batches->json = options->json;
              return bench_batches(options->model, *batches);
            }
            return bench(*options);
          }};
}

}  // namespace millrace::cli
