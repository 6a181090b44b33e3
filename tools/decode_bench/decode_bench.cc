// The decode step as one kernel, beside the same step op by op: do their logits agree, how long do
// both take, where does the time go inside?
//
//   decode_bench MODEL [check] [time] [timeline=FILE] [batches=1,2] [contexts=1024]
//                [soak=STEPS] [stuck=PHASE] [steps=20] [in_flight=0,2,3] [slack=0,8] [tiles=16]
//                [device=cuda] [kv=bf16]
//
// FILE.svg is a picture, any other name a trace for ui.perfetto.dev. MODEL is a folder, or a
// config.json whose weights are then random. Exits with 1 if logits differ.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <string>

#include "base/check.h"
#include "base/json.h"
#include "engine/load.h"
#include "engine/parts.h"
#include "ops/machine_ceilings.h"
#include "timeline.h"

namespace millrace {
namespace {

using Options = std::map<std::string, std::string>;

std::vector<int> numbers(const Options& options, const std::string& name, std::string text) {
  if (const auto it = options.find(name); it != options.end()) text = it->second;
  std::vector<int> all;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    all.push_back(std::atoi(text.substr(at, end - at).c_str()));
    at = end + 1;
  }
  return all;
}

class DecodeBench {
 public:
  DecodeBench(EngineParts& parts, const Options& options) : parts_(parts), options_(options) {}

  bool run() {
    bool good = true;
    if (options_.contains("check")) good = check_all();
    if (options_.contains("time")) time_all();
    if (options_.contains("timeline")) timeline(options_.at("timeline"));
    if (options_.contains("soak")) good &= soak(numbers(options_, "soak", "").front());
    if (options_.contains("stuck")) good &= get_stuck();
    return good;
  }

 private:
  DecodeSteps& steps() { return *parts_.model->decode_steps(); }
  std::unique_ptr<Runner> runner() {
    return std::make_unique<Runner>(*parts_.model, *parts_.device, *parts_.cache,
                                    parts_.sizes.limits);
  }
  TokenId next_token() {
    random_ = random_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<TokenId>((random_ >> 33) %
                                static_cast<std::uint64_t>(parts_.files.config.vocab));
  }
  SequenceMemory open(std::int64_t tokens) {
    std::optional<SequenceMemory> memory =
        SequenceMemory::open(*parts_.cache, parts_.sizes.context);
    check(memory && memory->reserve(tokens), "the bench's cache is too small");
    return std::move(*memory);
  }
  void prefill(Runner& runner, SequenceMemory& memory, const std::vector<TokenId>& tokens) {
    const auto limit = static_cast<std::size_t>(parts_.sizes.limits.max_rows);
    for (std::size_t first = 0; first < tokens.size(); first += limit) {
      const std::span<const TokenId> part =
          std::span(tokens).subspan(first, std::min(limit, tokens.size() - first));
      const StepSpan span = {&memory, part, SpanKind::Prefill, Logits::Last};
      runner.run({&span, 1});
    }
  }
  static void decode(Runner& runner, std::vector<SequenceMemory>& memories,
                     const std::vector<TokenId>& tokens) {
    std::vector<StepSpan> spans;
    for (std::size_t i = 0; i < memories.size(); ++i)
      spans.push_back({&memories[i], {&tokens[i], 1}, SpanKind::Decode, Logits::Last});
    runner.run(spans);
  }

  // The same sequences both ways, over several steps, so that what a step leaves behind counts.
  bool check_all() {
    bool good = true;
    const auto most = static_cast<int>(parts_.sizes.context) - 40;
    for (const int batch : numbers(options_, "batches", "1,2,3,4,8,1"))
      for (const int context : numbers(options_, "contexts", "0,5,700"))
        good &= check_one(batch, std::min(context, most));
    return good;
  }
  bool check_one(int batch, int context) {
    const std::unique_ptr<Runner> runners[2] = {runner(), runner()};
    std::vector<SequenceMemory> memories[2];
    steps().tune({.enabled = false});
    for (int i = 0; i < batch; ++i) {
      std::vector<TokenId> prompt(static_cast<std::size_t>(context + (context > 0 ? 7 * i : 0)));
      for (TokenId& token : prompt) token = next_token();
      for (int k = 0; k < 2; ++k) {
        memories[k].push_back(open(static_cast<std::int64_t>(prompt.size()) + 32 +
                                   numbers(options_, "steps", "20").front()));
        prefill(*runners[k], memories[k].back(), prompt);
      }
    }
    double worst = 0;
    int same = 0, rows = 0;
    std::string errors;
    const int steps_to_check = numbers(options_, "steps", "20").front();
    for (int step = 0; step < steps_to_check; ++step) {
      std::vector<TokenId> tokens(static_cast<std::size_t>(batch));
      for (TokenId& token : tokens) token = next_token();
      for (int k = 0; k < 2; ++k) {
        steps().tune({.enabled = k == 1});
        decode(*runners[k], memories[k], tokens);
      }
      double of_step = 0;
      for (int row = 0; row < batch; ++row) {
        const std::span<float> want = runners[0]->logits(row);
        const std::span<float> got = runners[1]->logits(row);
        double difference = 0, scale = 0;
        for (std::size_t i = 0; i < want.size(); ++i) {
          difference += std::pow(double{got[i]} - double{want[i]}, 2);
          scale += std::pow(double{want[i]}, 2);
        }
        const double error = std::sqrt(difference / scale);
        of_step = std::isfinite(error) ? std::max(of_step, error) : INFINITY;
        ++rows;
        same += std::max_element(want.begin(), want.end()) - want.begin() ==
                std::max_element(got.begin(), got.end()) - got.begin();
      }
      worst = std::max(worst, of_step);
      if (step < 20 && step % 4 == 0) errors += fmt::format(" {:.1e}", of_step);
    }
    // Both round activations to BF16, in other places: errors of layers add up like a walk's steps.
    const auto layers = static_cast<double>(parts_.model->config().layers.size());
    // A key or value that falls on the other side of FP8's middle moves by an eighth of its size.
    const double allowed = parts_.sizes.kv_dtype == DType::F8_E4M3 ? 4e-2 : 1e-2;
    const bool good = worst < allowed * std::sqrt(layers);
    fmt::print(
        "check batch {} context {}: worst relative error {:.2e}, {} of {} greedy tokens equal; by "
        "step{} {}\n",
        batch, context, worst, same, rows, errors, good ? "ok" : "WRONG");
    if (const std::string failure = steps().failure(); !failure.empty())
      fmt::print("{}\n", failure);
    std::fflush(stdout);
    return good;
  }

  double time(int batch, int context) {
    const std::unique_ptr<Runner> r = runner();
    std::vector<SequenceMemory> memories;
    std::vector<TokenId> tokens(static_cast<std::size_t>(batch));
    for (int i = 0; i < batch; ++i) {
      memories.push_back(open(context + 32));
      memories.back().appended(context);
    }
    for (int step = 0; step < 4; ++step) {
      for (TokenId& token : tokens) token = next_token();
      decode(*r, memories, tokens);
    }
    std::vector<double> seconds;
    for (int i = 0; i < 5; ++i) seconds.push_back(r->time_repeats(60));
    std::sort(seconds.begin(), seconds.end());
    return seconds[2] * 1e3;
  }
  void time_all() {
    const MachineCeilings ceilings = measure_ceilings(*parts_.device);
    const auto bytes = static_cast<double>(steps().plan().weight_bytes);
    for (const int context : numbers(options_, "contexts", "1024"))
      for (const int batch : numbers(options_, "batches", "1,2,4,8")) {
        steps().tune({.enabled = false});
        fmt::print("time batch {} context {}: op by op {:.4f} ms;", batch, context,
                   time(batch, context));
        for (const int tiles : numbers(options_, "tiles", "16"))
          for (const int in_flight : numbers(options_, "in_flight", "0"))
            for (const int slack : numbers(options_, "slack", "32")) {
              steps().tune({.in_flight = in_flight,
                            .slack = slack,
                            .most_tiles = tiles,
                            .any_context = true});
              fmt::print(" tiles {} in flight {} slack {}: {:.4f};", tiles, in_flight, slack,
                         time(batch, context));
              std::fflush(stdout);
            }
        steps().tune({.bare = true, .any_context = true});
        fmt::print(
            " the same reading and barriers alone: {:.4f}; its bytes at {:.0f} GB/s: {:.4f}\n",
            time(batch, context), ceilings.read_gb_s, bytes / ceilings.read_gb_s * 1e-6);
      }
  }

  // So many steps without a rest.
  bool soak(int count) {
    steps().tune({.any_context = true});
    const int batch = numbers(options_, "batches", "1").front();
    const std::unique_ptr<Runner> r = runner();
    std::vector<SequenceMemory> memories;
    for (int i = 0; i < batch; ++i) memories.push_back(open(1024));
    decode(*r, memories, std::vector<TokenId>(static_cast<std::size_t>(batch), 1));
    double seconds = 0;
    int done = 0;
    for (; done < count && steps().failure().empty(); done += 1000)
      seconds += 1000 * r->time_repeats(1000);
    fmt::print("soak: {} steps of {} in {:.1f} s {}\n", done, batch, seconds,
               steps().failure().empty() ? "ok" : steps().failure());
    return steps().failure().empty();
  }

  // Does the watch end a step that one multiprocessor does not hand on, and what then?
  bool get_stuck() {
    steps().tune({.patience = 0.05, .jam = numbers(options_, "stuck", "").front()});
    const std::unique_ptr<Runner> r = runner();
    std::vector<SequenceMemory> memories;
    memories.push_back(open(64));
    const auto start = std::chrono::steady_clock::now();
    try {
      decode(*r, memories, {1});
    } catch (const StuckStep& stuck) {
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
      r->abandon();
      decode(*r, memories, {1});
      fmt::print("stuck: \"{}\" after {:.3f} s; the next step went op by op ok\n", stuck.what(),
                 took.count());
      return true;
    }
    fmt::print("stuck: nothing was noticed WRONG\n");
    return false;
  }

  void timeline(const std::string& path) {
    DecodeTuning tuning;
    tuning.in_flight = numbers(options_, "in_flight", "0").front();
    tuning.slack = numbers(options_, "slack", "32").front();
    steps().tune(tuning);
    steps().keep_stamps();
    const int batch = numbers(options_, "batches", "1").front();
    const double ms = time(batch, numbers(options_, "contexts", "1024").front());
    const Timeline drawn(steps().plan(), steps().stamps(), ms * 1e3);
    fmt::print("timeline batch {}: {:.4f} ms\n{}", batch, ms, drawn.table());
    std::ofstream(path) << (path.ends_with(".svg") ? drawn.svg() : drawn.perfetto());
  }

  EngineParts& parts_;
  const Options& options_;
  std::uint64_t random_ = 1;
};

Status run(const std::string& model, const Options& options) {
  EngineOptions engine;
  if (options.contains("kv")) engine.kv_dtype = parse_dtype(options.at("kv"));
  engine.model = model;
  engine.device = options.contains("device") ? options.at("device") : "cuda";
  if (model.ends_with(".json")) engine.load.format = LoadFormat::Dummy;
  LoadedModel files = MILLRACE_TRY(load_model(engine.model, engine.load));
  const bool real = engine.device != "emulated";
  engine.context = std::min<std::int64_t>(files.config.max_position, real ? 131072 : 1024);
  engine.max_sequences = 16;
  engine.cache_tokens = real ? 8 * engine.context : 4096;
  const std::unique_ptr<EngineParts> parts = MILLRACE_TRY(make_parts(std::move(files), engine));
  if (!parts->model->decode_steps()) {
    for (const KernelReport& report : parts->model->kernels())
      fmt::print("{} {}\n", report.op, report.key);
    return fail(ErrorCode::Unsupported, "{}: the decode step runs op by op", model);
  }
  if (!DecodeBench(*parts, options).run())
    return fail(ErrorCode::Corrupt, "{}: logits differ", model);
  return {};
}

}  // namespace
}  // namespace millrace

int main(int argc, char** argv) {
  millrace::Options options;
  for (int i = 2; i < argc; ++i) {
    const std::string text = argv[i];
    const std::size_t equals = std::min(text.find('='), text.size());
    options[text.substr(0, equals)] = equals < text.size() ? text.substr(equals + 1) : "";
  }
  if (argc < 2) {
    fmt::print(stderr, "usage: decode_bench MODEL [check] [time] [timeline=FILE] ...\n");
    return 2;
  }
  const millrace::Status status = millrace::run(argv[1], options);
  if (!status) fmt::print(stderr, "{}\n", status.error().message);
  return status ? 0 : 1;
}
