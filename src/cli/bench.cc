// `millrace bench`: how fast, and how far from what this machine allows.
#include <fmt/format.h>

#include <chrono>
#include <fstream>

#include "base/json.h"
#include "base/progress.h"
#include "cli/bench_batches.h"
#include "cli/bench_report.h"
#include "cli/bench_serve.h"
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
  std::optional<std::string> ops;  // time single ops whose case holds this text
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

// Drives steps of random tokens through a runner and times them.
class Bench {
 public:
  Bench(EngineParts& parts, const BenchOptions& options) : parts_(parts), options_(options) {}

  BenchRow prefill(std::int64_t tokens) {
    std::vector<double> seconds;
    for (int repetition = -1; repetition < options_.repetitions; ++repetition) {
      SequenceMemory memory = open(tokens);
      const Clock::time_point start = Clock::now();
      extend(memory, tokens);
      if (repetition >= 0) seconds.push_back(seconds_since(start));
    }
    BenchRow row;
    row.test = fmt::format("prefill {}", tokens);
    row.kind = "prefill";
    row.tokens = tokens;
    row.step_seconds = spread_of(std::move(seconds));
    const std::int64_t chunk = parts_.sizes.limits.max_rows;
    for (std::int64_t first = 0; first < tokens; first += chunk) {
      const std::int64_t count = std::min(chunk, tokens - first);
      const double context = static_cast<double>(first) + static_cast<double>(count + 1) / 2;
      add_work(row, count, first + count == tokens ? 1 : 0, context);
    }
    // A prompt's keys and values are shared by its rows; counting them per row would flatter.
    row.kv_bytes = static_cast<double>(tokens * geometry().kv_bytes_per_token());
    return row;
  }

  BenchRow decode(std::int64_t batch, std::int64_t context) {
    std::vector<SequenceMemory> memories;
    for (std::int64_t i = 0; i < batch; ++i) {
      memories.push_back(open(context + steps_in_all() + 1));
      // The cache's content does not matter for speed: positions count as filled.
      memories.back().appended(context);
    }
    std::vector<TokenId> tokens(static_cast<std::size_t>(batch));
    std::vector<StepSpan> spans;
    std::vector<double> seconds;
    for (int repetition = -1; repetition < options_.repetitions; ++repetition) {
      const Clock::time_point start = Clock::now();
      for (std::int64_t step = 0; step < options_.decode_steps; ++step) {
        spans.clear();
        for (std::size_t i = 0; i < memories.size(); ++i) {
          tokens[i] = next_token();
          spans.push_back({&memories[i],
                           {&tokens[i], 1},
                           SpanKind::Decode,
                           Logits::Last,
                           parts_.runner->can_sample() ? &greedy_ : nullptr});
        }
        parts_.runner->run(spans);
      }
      if (repetition >= 0)
        seconds.push_back(seconds_since(start) / static_cast<double>(options_.decode_steps));
    }
    BenchRow row;
    row.test = fmt::format("decode b={} ctx={}", batch, context);
    row.kind = "decode";
    row.batch = batch;
    row.context = context;
    row.tokens = batch;
    row.step_seconds = spread_of(std::move(seconds));
    if (!parts_.device->uses_host_memory())
      row.device_seconds = parts_.runner->time_repeats(static_cast<int>(options_.decode_steps));
    add_work(row, batch, batch,
             static_cast<double>(context) + static_cast<double>(steps_in_all()) / 2 + 1);
    return row;
  }

 private:
  std::int64_t steps_in_all() const { return options_.decode_steps * (options_.repetitions + 1); }
  CacheGeometry geometry() const { return parts_.cache->geometry(); }

  SequenceMemory open(std::int64_t tokens) {
    std::optional<SequenceMemory> memory =
        SequenceMemory::open(*parts_.cache, parts_.sizes.context);
    check(memory && memory->reserve(tokens), "the bench's cache is too small");
    return std::move(*memory);
  }

  void extend(SequenceMemory& memory, std::int64_t tokens) {
    std::vector<TokenId> chunk;
    for (std::int64_t first = 0; first < tokens;) {
      const std::int64_t count = std::min(parts_.sizes.limits.max_rows, tokens - first);
      chunk.resize(static_cast<std::size_t>(count));
      for (TokenId& token : chunk) token = next_token();
      first += count;
      const StepSpan span = {&memory, chunk, SpanKind::Prefill,
                             first == tokens ? Logits::Last : Logits::None,
                             first == tokens && parts_.runner->can_sample() ? &greedy_ : nullptr};
      parts_.runner->run({&span, 1});
    }
  }

  void add_work(BenchRow& row, std::int64_t rows, std::int64_t logit_rows, double context) {
    const Lfm2::Work work = parts_.model->work(rows, logit_rows, context, parts_.sizes.kv_dtype);
    row.weight_bytes += work.weight_bytes;
    row.kv_bytes += work.kv_bytes;
    row.flops += work.flops;
  }

  TokenId next_token() {
    random_ = random_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<TokenId>((random_ >> 33) %
                                static_cast<std::uint64_t>(parts_.files.config.vocab));
  }

  EngineParts& parts_;
  const BenchOptions& options_;
  SampleRow greedy_;
  std::uint64_t random_ = 1;
};

Status bench(const BenchOptions& options) {
  const auto largest = [](const std::vector<std::int64_t>& values) {
    return values.empty() ? std::int64_t{1} : *std::max_element(values.begin(), values.end());
  };
  EngineOptions engine = MILLRACE_TRY(options.model.resolve());
  const Clock::time_point start = Clock::now();
  LoadedModel files = MILLRACE_TRY(load_model(engine.model, engine.load));
  const std::int64_t decode_tokens = options.decode_steps * (options.repetitions + 1) + 1;
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

  Bench run(*parts, options);
  const std::size_t tests =
      options.prefill.size() + options.batches.size() * options.contexts.size();
  Progress progress("benchmarking", tests, Progress::Unit::Items);
  for (const std::int64_t tokens : options.prefill) {
    report.rows.push_back(run.prefill(tokens));
    progress.advance(1);
  }
  for (const std::int64_t context : options.contexts) {
    for (const std::int64_t batch : options.batches) {
      report.rows.push_back(run.decode(batch, context));
      progress.advance(1);
    }
  }
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
