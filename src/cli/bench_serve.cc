#include "cli/bench_serve.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sys/resource.h>

#include <ctime>
#include <fstream>

#include "base/json.h"
#include "base/progress.h"
#include "loadgen/report.h"
#include "loadgen/runner.h"

namespace millrace::cli {
namespace {

using namespace loadgen;

struct BenchServeOptions {
  std::string url = "http://127.0.0.1:8000";
  std::string model, api_key;
  std::string workload = "random";
  std::int64_t count = 100, warmup = 0;
  std::uint64_t seed = 0;
  RandomOptions random;
  AgentOptions agents;
  bool text_prompts = false, no_tools = false;
  std::vector<std::int64_t> concurrency;
  std::vector<double> rates;
  std::vector<double> ramp;  // from, to
  std::vector<std::string> goodput;
  std::string body;
  double temperature = 0;
  bool ignore_eos = false, stop_at_eos = false, token_ids = false;
  std::string export_path, records_path, json_path, html_path;
  bool resume = false, json = false;
  int threads = 1;
  double sample_seconds = 1, silence_seconds = 600;
};

Status write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file.flush()) return fail(ErrorCode::InvalidArgument, "{}: cannot be written", path);
  return {};
}

std::vector<Load> loads(const BenchServeOptions& options) {
  std::vector<Load> loads;
  for (const std::int64_t users : options.concurrency)
    loads.push_back({.kind = Load::Kind::Closed, .users = users});
  for (const double rate : options.rates)
    loads.push_back({.kind = Load::Kind::Poisson, .rate = rate});
  if (options.ramp.size() == 2)
    loads.push_back(
        {.kind = Load::Kind::Ramp, .rate = options.ramp[0], .end_rate = options.ramp[1]});
  if (loads.empty()) loads.push_back({.kind = Load::Kind::Closed, .users = 16});
  return loads;
}

// The workload, and what to call it.
Result<std::pair<Workload, std::string>> make_workload(const BenchServeOptions& options,
                                                       std::int64_t vocab) {
  const std::int64_t count = options.count + options.warmup;
  if (options.workload == "random") {
    RandomOptions random = options.random;
    random.count = count;
    random.seed = options.seed;
    if (options.text_prompts)
      random.vocab = 0;
    else if (random.vocab == 0 && (random.vocab = vocab) == 0)
      return fail(ErrorCode::InvalidArgument,
                  "the server does not say how many token ids its model has: give --vocab, or "
                  "--text-prompts");
    return std::pair(
        random_workload(random),
        fmt::format("random, {} {} in, {} tokens out, seed {}", random.input,
                    random.vocab > 0 ? "tokens" : "words", random.output, random.seed));
  }
  if (options.workload == "agents") {
    AgentOptions agents = options.agents;
    agents.count = count;
    agents.seed = options.seed;
    agents.tools = !options.no_tools;
    return std::pair(agent_workload(agents), fmt::format("agents, {} sessions of {} turns, seed {}",
                                                         count, agents.turns, agents.seed));
  }
  return std::pair(MILLRACE_TRY(read_workload(options.workload)), options.workload);
}

Result<Json> request_body(const BenchServeOptions& options) {
  Json body = Json::object();
  body["temperature"] = options.temperature;
  // Random prompts are not language: an answer's length would be chance.
  const bool random = options.workload == "random";
  if ((random || options.ignore_eos) && !options.stop_at_eos) body["ignore_eos"] = true;
  if (options.token_ids) body["return_token_ids"] = true;
  if (options.body.empty()) return body;
  const Json more = MILLRACE_TRY(parse_json(options.body, "--body"));
  if (!more.is_object())
    return fail(ErrorCode::InvalidArgument, "--body: found {}, expected an object",
                json_type_name(more));
  for (const auto& [key, value] : more.items()) body[key] = value;
  return body;
}

// Every request at once is a descriptor.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

// Sessions that are run first and not measured.
Status warm_up(Workload& workload, const BenchServeOptions& options, const RunOptions& run) {
  if (options.warmup == 0) return {};
  if (options.warmup >= std::ssize(workload))
    return fail(ErrorCode::InvalidArgument, "--warmup {}: the workload has {} sessions",
                options.warmup, workload.size());
  const auto end = workload.begin() + options.warmup;
  RecordFile nothing = MILLRACE_TRY(RecordFile::open("", Json(), false));
  StageRecord warm{.load = loads(options).front()};
  if (!MILLRACE_TRY(run_stage(Workload(workload.begin(), end), run, nothing, warm, [] {})))
    return fail(ErrorCode::Cancelled, "interrupted");
  workload.erase(workload.begin(), end);
  return {};
}

// False when a signal broke it off.
Result<bool> run_stages(const Workload& workload, const BenchServeOptions& options,
                        const RunOptions& run, std::vector<StageRecord>& stages) {
  const Json header = {
      {"workload", fingerprint(workload)}, {"model", run.model}, {"body", run.body}};
  RecordFile file = MILLRACE_TRY(RecordFile::open(options.records_path, header, options.resume));
  bool whole = true;
  for (const Load& load : loads(options)) {
    StageRecord stage = file.take(load, workload);
    if (whole) {
      Progress progress(load.label(), static_cast<std::uint64_t>(count_turns(workload)),
                        Progress::Unit::Items);
      progress.advance(stage.requests.size());
      whole = MILLRACE_TRY(run_stage(workload, run, file, stage, [&] { progress.advance(1); }));
    }
    if (!stage.requests.empty()) stages.push_back(std::move(stage));
  }
  return whole;
}

Status bench_serve(const BenchServeOptions& options) {
  RunOptions run;
  run.client.api_key = options.api_key;
  run.client.silence = std::chrono::seconds(static_cast<std::int64_t>(options.silence_seconds));
  run.seed = options.seed;
  run.threads = options.threads;
  run.sample_seconds = options.sample_seconds;
  run.body = MILLRACE_TRY(request_body(options));
  Report report;
  report.goal = MILLRACE_TRY(Goal::parse(options.goodput));
  // A workload can be written without a server.
  ServedModelInfo served{.name = options.model};
  if (options.export_path.empty() || !options.url.empty()) {
    run.client.url = MILLRACE_TRY(Url::parse(options.url));
    served = MILLRACE_TRY(ask_for_model(run.client, options.model));
  }
  run.model = served.name;
  auto [workload, name] = MILLRACE_TRY(make_workload(options, served.vocab));
  if (!options.export_path.empty()) {
    MILLRACE_TRY(write_file(options.export_path, to_jsonl(workload)));
    fmt::print(stderr, "millrace: {} sessions, {} requests, fingerprint {}, written to {}\n",
               workload.size(), count_turns(workload), fingerprint(workload), options.export_path);
    return {};
  }
  raise_descriptor_limit();
  MILLRACE_TRY(warm_up(workload, options, run));

  report.url = run.client.url.text();
  report.model = served.name;
  report.workload = fmt::format("{} ({} requests, fingerprint {})", name, count_turns(workload),
                                fingerprint(workload));
  report.began = fmt::format("{:%Y-%m-%d %H:%M:%S} UTC", fmt::gmtime(std::time(nullptr)));
  const bool whole = MILLRACE_TRY(run_stages(workload, options, run, report.stages));
  const std::string json = as_json(report).dump(2) + "\n";
  if (!options.json_path.empty()) MILLRACE_TRY(write_file(options.json_path, json));
  if (!options.html_path.empty()) MILLRACE_TRY(write_file(options.html_path, as_html(report)));
  fmt::print("{}", options.json ? json : as_table(report));
  std::fflush(stdout);
  if (!whole)
    return fail(ErrorCode::Cancelled, "interrupted{}",
                options.records_path.empty() ? "" : "; --resume goes on from here");
  for (const StageRecord& stage : report.stages)
    for (const RequestRecord& record : stage.requests)
      if (!record.ok())
        return fail(ErrorCode::Unavailable, "some requests failed: {}", record.error);
  return {};
}

void add_workload_flags(CLI::App& app, BenchServeOptions& options) {
  const char* const random = "Workload random";
  const char* const agents = "Workload agents";
  const auto share = CLI::Range(0.0, 1.0);
  const auto length = CLI::Range(std::int64_t{0}, std::int64_t{1} << 24);
  app.add_option("--workload", options.workload,
                 "random: single prompts; agents: conversations with tools, edits and branches; or "
                 "a file that --export has written")
      ->capture_default_str();
  app.add_option("-n,--num-prompts", options.count, "Sessions")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{10'000'000}))
      ->capture_default_str();
  app.add_option("--warmup", options.warmup, "More sessions, run first and not measured")
      ->check(length)
      ->capture_default_str();
  app.add_option("--seed", options.seed, "Workloads and arrivals follow from it")
      ->capture_default_str();
  app.add_option("--export", options.export_path,
                 "Write the workload to this file and end (no server needed with --url '')");

  app.add_option("--input-len,--random-input-len", options.random.input, "Tokens of a prompt")
      ->check(CLI::Range(1, 1 << 22))
      ->group(random)
      ->capture_default_str();
  app.add_option("--output-len,--random-output-len", options.random.output, "Tokens of an answer")
      ->check(CLI::Range(1, 1 << 22))
      ->group(random)
      ->capture_default_str();
  app.add_option("--range-ratio,--random-range-ratio", options.random.range,
                 "Lengths are drawn from (1 - this) to (1 + this) times those")
      ->check(share)
      ->group(random)
      ->capture_default_str();
  app.add_option("--prefix-len,--random-prefix-len", options.random.prefix,
                 "Tokens that all prompts begin with, before their own")
      ->check(length)
      ->group(random)
      ->capture_default_str();
  app.add_option("--vocab", options.random.vocab,
                 "Prompts are token ids below this; 0: as the server says")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 31))
      ->group(random)
      ->capture_default_str();
  app.add_flag(
         "--text-prompts", options.text_prompts,
         "Send words instead of token ids, for servers that take no ids; lengths are in words")
      ->group(random);

  app.add_option("--turns", options.agents.turns, "Requests of a session")
      ->check(CLI::Range(1, 10000))
      ->group(agents)
      ->capture_default_str();
  app.add_option("--system-prompts", options.agents.system_prompts,
                 "Different system prompts, shared by the sessions")
      ->check(CLI::Range(1, 1 << 20))
      ->group(agents)
      ->capture_default_str();
  app.add_option("--system-words", options.agents.system_words, "Words of each")
      ->check(length)
      ->group(agents)
      ->capture_default_str();
  app.add_option("--user-words", options.agents.user_words, "Words of a question")
      ->check(CLI::Range(1, 1 << 22))
      ->group(agents)
      ->capture_default_str();
  app.add_option("--tool-words", options.agents.tool_words, "Words of a tool's result")
      ->check(CLI::Range(1, 1 << 22))
      ->group(agents)
      ->capture_default_str();
  app.add_option("--answer-tokens", options.agents.output,
                 "Most tokens of an answer; each request draws from half of it up")
      ->check(CLI::Range(1, 1 << 22))
      ->group(agents)
      ->capture_default_str();
  app.add_option("--tool-share", options.agents.tool_share, "Share of turns that bring a result")
      ->check(share)
      ->group(agents)
      ->capture_default_str();
  app.add_option("--edit-share", options.agents.edit_share,
                 "Share of turns that write an earlier message anew")
      ->check(share)
      ->group(agents)
      ->capture_default_str();
  app.add_option("--branch-share", options.agents.branch_share,
                 "Share of turns that ask once more from an earlier point")
      ->check(share)
      ->group(agents)
      ->capture_default_str();
  app.add_option("--think-seconds", options.agents.think_s,
                 "Mean time between an answer and the next request")
      ->check(CLI::Range(0.0, 3600.0))
      ->group(agents)
      ->capture_default_str();
  app.add_flag("--no-tools", options.no_tools, "Requests list no tools")->group(agents);
}

void add_load_flags(CLI::App& app, BenchServeOptions& options) {
  const char* const group = "Load (several values: one stage after the other)";
  app.add_option("--concurrency,--max-concurrency", options.concurrency,
                 "So many sessions at once; the default is 16")
      ->delimiter(',')
      ->check(CLI::Range(1, 100'000))
      ->group(group);
  app.add_option("--request-rate", options.rates, "Sessions a second, as a Poisson process")
      ->delimiter(',')
      ->check(CLI::Range(1e-6, 1e6))
      ->group(group);
  app.add_option("--ramp", options.ramp, "A rate that grows evenly: FROM,TO sessions a second")
      ->delimiter(',')
      ->expected(2)
      ->check(CLI::Range(1e-6, 1e6))
      ->group(group);
  app.add_option("--goodput", options.goodput,
                 "Count the requests within limits of milliseconds: ttft:200 tpot:50 e2el:5000")
      ->group(group);
}

void add_request_flags(CLI::App& app, BenchServeOptions& options) {
  const char* const group = "Requests";
  app.add_option("--temperature", options.temperature, "")
      ->check(CLI::Range(0.0, 100.0))
      ->group(group)
      ->capture_default_str();
  app.add_flag("--ignore-eos", options.ignore_eos,
               "Answers have their whole length (always so with workload random)")
      ->group(group);
  app.add_flag("--stop-at-eos", options.stop_at_eos, "Answers end where the model ends them")
      ->group(group);
  app.add_flag("--return-token-ids", options.token_ids,
               "Ask for token ids, so that tokens without text are timed too (Millrace, vLLM)")
      ->group(group);
  app.add_option("--body", options.body, "JSON with more fields for every request")->group(group);
}

}  // namespace

Command add_bench_serve(CLI::App& bench) {
  auto options = std::make_shared<BenchServeOptions>();
  CLI::App* app = bench.add_subcommand(
      "serve", "Load a server through OpenAI's API, ours or another, and measure");
  app->fallthrough(false);
  app->add_option("--url,--base-url", options->url, "The server")->capture_default_str();
  app->add_option("--model", options->model, "Model to ask for; otherwise the first it serves");
  app->add_option("--api-key", options->api_key, "Sent as a bearer token")
      ->envname("OPENAI_API_KEY");
  add_workload_flags(*app, *options);
  add_load_flags(*app, *options);
  add_request_flags(*app, *options);
  const char* const output = "Output";
  app->add_option("--records", options->records_path,
                  "Keep every request's times in this file, from which --resume goes on")
      ->group(output);
  app->add_flag("--resume", options->resume, "Go on with what --records holds")
      ->needs("--records")
      ->group(output);
  app->add_option("--result-json", options->json_path, "Write the results to this file")
      ->group(output);
  app->add_option("--html", options->html_path, "Write a page with plots to this file")
      ->group(output);
  app->add_flag("--json", options->json, "Print JSON")->group(output);
  app->add_option("--sample-seconds", options->sample_seconds,
                  "Time between looks at the server's /metrics; 0: none")
      ->check(CLI::Range(0.0, 3600.0))
      ->group(output)
      ->capture_default_str();
  app->add_option("--silence-seconds", options->silence_seconds,
                  "A request fails when the server says nothing for so long")
      ->check(CLI::Range(1.0, 86400.0))
      ->group(output)
      ->capture_default_str();
  app->add_option("--client-threads", options->threads, "Threads of the load generator")
      ->check(CLI::Range(1, 256))
      ->group(output)
      ->capture_default_str();
  return {app, [=] { return bench_serve(*options); }};
}

}  // namespace millrace::cli
