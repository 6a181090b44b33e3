// `millrace serve`: an OpenAI-compatible server. Flags are named as vLLM's users type them.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "base/json.h"
#include "cli/command.h"
#include "cli/model_options.h"
#include "server/server.h"

namespace millrace::cli {
namespace {

struct ServeOptions {
  ModelOptions model;
  server::ServerConfig server;
  std::vector<std::string> names;
  std::string chat_template;
  std::int64_t max_model_len = 0;
  std::int64_t max_num_seqs = 0;
  std::int64_t cache_tokens = 0;
  bool no_prefix_caching = false;
  std::string tool_call_parser = "auto";
  std::string reasoning_parser = "auto";
  std::string generation_config = "auto";
  double body_megabytes = 16;
  double drain_seconds = 30;
  std::size_t trace_spans = 1 << 16;
  std::string speculative_config;
  std::map<std::string, std::string> accepted;  // vLLM's flags without a use here
};

Result<ChatTemplate> read_template(const std::string& path, const LoadedModel& files) {
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file) return fail(ErrorCode::NotFound, "--chat-template {}: cannot be read", path);
  SpecialTokens special;
  if (files.tokenizer) {
    const auto add = [&](const char* name, std::optional<TokenId> token) {
      if (token) special[name] = files.tokenizer->token_text(*token);
    };
    add("bos_token", files.tokenizer->bos());
    add("eos_token", files.tokenizer->eos());
    add("pad_token", files.tokenizer->pad());
  }
  return ChatTemplate::parse(std::move(text), path, std::move(special));
}

// vLLM's: {"method": "ngram", "num_speculative_tokens": 5}, or "method": "draft_model" with a
// "model".
Status read_speculative_config(const std::string& text, EngineOptions& engine) {
  const Json config = MILLRACE_TRY(parse_json(text, "--speculative-config"));
  const Json method = config.is_object() ? config.value("method", Json()) : Json();
  if (method != "ngram" && method != "draft_model")
    return fail(ErrorCode::InvalidArgument,
                "--speculative-config: found {}, expected an object with \"method\": \"ngram\" or "
                "\"draft_model\"",
                config.dump());
  if (method == "draft_model") {
    const Json model = config.value("model", Json());
    if (!model.is_string())
      return fail(ErrorCode::InvalidArgument,
                  "--speculative-config: model: found {}, expected the draft model's name",
                  model.dump());
    engine.draft_model = model.get<std::string>();
  }
  constexpr int kMost = 64;
  const Json count = config.value("num_speculative_tokens", Json(5));
  if (!count.is_number_integer() || count < 1 || count > kMost)
    return fail(ErrorCode::InvalidArgument,
                "--speculative-config: num_speculative_tokens: found {}, expected 1 to {}",
                count.dump(), kMost);
  engine.draft_tokens = count.get<int>();
  return {};
}

Result<EngineOptions> engine_options(ServeOptions& options) {
  if (options.model.model.empty())
    return fail(ErrorCode::InvalidArgument, "serve: which model? Give MODEL, or --model MODEL");
  if (options.max_model_len > 0) options.model.context = options.max_model_len;
  EngineOptions engine = MILLRACE_TRY(options.model.resolve());
  engine.max_sequences = options.max_num_seqs;
  engine.cache_tokens = options.cache_tokens;
  if (!options.server.trace_path.empty()) engine.trace_spans = options.trace_spans;
  engine.keep_prefixes = !options.no_prefix_caching;
  if (!options.speculative_config.empty())
    MILLRACE_TRY(read_speculative_config(options.speculative_config, engine));
  if (!engine.draft_model.empty())
    engine.draft_model = MILLRACE_TRY(options.model.path_of(engine.draft_model));
  engine.most_draft_tokens = std::max(engine.most_draft_tokens, engine.draft_tokens);
  return engine;
}

Result<server::ServedModel> served_model(const ServeOptions& options, const Engine& engine) {
  server::ServedModel model{
      .files = engine.files(), .context = engine.context(), .names = options.names};
  if (model.names.empty()) {
    // As it was typed, and a folder's bare name: clients like either.
    model.names.push_back(options.model.model);
    std::string bare = std::filesystem::path(options.model.model).lexically_normal().filename();
    if (!bare.empty() && bare != options.model.model) model.names.push_back(std::move(bare));
  }
  if (options.generation_config == "auto")
    model.sampling = recommended_sampling(model.files.generation);
  if (options.generation_config == "vllm") model.sampling.temperature = 1;
  model.grammars = server::grammars_of(model.files);
  model.tool_calls = options.tool_call_parser != "none";
  model.reasoning = options.reasoning_parser != "none";
  if (!options.chat_template.empty())
    model.chat_template = MILLRACE_TRY(read_template(options.chat_template, model.files));
  return model;
}

Status serve(ServeOptions options) {
  if (const char* key = std::getenv("MILLRACE_API_KEY"); key && *key)
    options.server.api_keys.emplace_back(key);
  for (const std::string& key : options.server.api_keys)
    if (key.empty()) return fail(ErrorCode::InvalidArgument, "--api-key: is empty");
  // vLLM takes a JSON list here.
  if (options.server.allowed_origins.size() == 1 &&
      options.server.allowed_origins[0].starts_with('[')) {
    const Json list =
        MILLRACE_TRY(parse_json(options.server.allowed_origins[0], "--allowed-origins"));
    options.server.allowed_origins.clear();
    for (const Json& origin : list) {
      if (!origin.is_string())
        return fail(ErrorCode::InvalidArgument, "--allowed-origins: found {}, expected texts",
                    json_type_name(origin));
      options.server.allowed_origins.push_back(origin.get<std::string>());
    }
  }
  for (const auto& [flag, value] : options.accepted)
    if (!value.empty()) fmt::print(stderr, "millrace: {} changes nothing here\n", flag);
  options.server.body_bytes = static_cast<std::uint64_t>(options.body_megabytes * (1 << 20));
  options.server.drain_time =
      std::chrono::milliseconds(static_cast<std::int64_t>(options.drain_seconds * 1000));

  const EngineOptions wanted = MILLRACE_TRY(engine_options(options));
  std::unique_ptr<Engine> engine = MILLRACE_TRY(Engine::open(wanted));
  server::ServedModel model = MILLRACE_TRY(served_model(options, *engine));
  model.most_draft_tokens = wanted.most_draft_tokens;
  const std::string name = model.names.front();
  const EngineStats stats = engine->stats();
  const std::int64_t context = engine->context();
  const auto server =
      MILLRACE_TRY(server::Server::open(std::move(engine), options.server, std::move(model)));
  const auto log = [&](const std::string& message) {
    fmt::print(stderr, "{}",
               server::event_line(options.server.log_format, message,
                                  server::utc_time(std::chrono::system_clock::now())));
  };
  log(fmt::format("serving {} (context {}, {} at a time, cache for {} tokens) on {}", name, context,
                  stats.max_running, stats.kv_capacity_tokens, server->address()));
  server->run();
  log("ended");
  return {};
}

void add_network_flags(CLI::App& app, ServeOptions& options) {
  server::ServerConfig& server = options.server;
  app.add_option("--host", server.host, "Address to listen on; 0.0.0.0: every one")
      ->capture_default_str();
  app.add_option("--port", server.port, "Port; 0: any free one")->capture_default_str();
  app.add_option("--ssl-certfile", server.ssl_certfile,
                 "Certificate and its chain, PEM: answer over TLS");
  app.add_option("--ssl-keyfile", server.ssl_keyfile, "The certificate's key, PEM");
  app.add_option("--api-key", server.api_keys,
                 "Clients must send it (repeatable; also MILLRACE_API_KEY). /health, /ready, "
                 "/version and /metrics stay open")
      ->allow_extra_args(false);
  app.add_option("--allowed-origins", server.allowed_origins,
                 "Web pages that may ask, for CORS; * for all (repeatable, or a JSON list)")
      ->allow_extra_args(false);
  app.add_flag("--log-requests,--enable-log-requests", server.log_requests,
               "A line for each request: time, id, method, path, status, tokens; see --log-format");
  app.add_option_function<std::string>(
         "--log-format",
         [&server](const std::string& name) {
           server.log_format = name == "json" ? server::LogFormat::Json : server::LogFormat::Text;
         },
         "text, or json: an object a line")
      ->check(CLI::IsMember({"text", "json"}));
  app.add_option("--trace", server.trace_path,
                 "Keep the step thread's timeline: GET /debug/trace shows it, and at the end it is "
                 "written to this file, for https://ui.perfetto.dev");
  app.add_option("--trace-spans", options.trace_spans, "How much of it: its last spans")
      ->check(CLI::Range(std::size_t{16}, std::size_t{1} << 24))
      ->capture_default_str();
  app.add_option("--max-waiting", server.most_waiting,
                 "Answers that may wait beyond those that run; more are refused with 429")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 20))
      ->capture_default_str();
  app.add_option("--request-timeout", server.request_seconds,
                 "Seconds after which an answer ends as far as it is; 0: no limit")
      ->check(CLI::Range(0.0, 1e9))
      ->capture_default_str();
  app.add_option("--max-connections", server.most_connections, "Open connections")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1} << 20))
      ->capture_default_str();
  app.add_option("--max-body-mb", options.body_megabytes, "Largest body of a request")
      ->check(CLI::Range(0.001, 4096.0))
      ->capture_default_str();
  app.add_option("--drain-seconds", options.drain_seconds, "Time for answers to end after SIGTERM")
      ->check(CLI::Range(0.0, 86400.0))
      ->capture_default_str();
}

void add_accepted_flags(CLI::App& app, ServeOptions& options) {
  const char* const group = "Accepted from vLLM's command lines, without effect";
  for (const char* flag :
       {"--enable-auto-tool-choice", "--trust-remote-code", "--enable-prefix-caching",
        "--enable-chunked-prefill", "--disable-log-requests", "--no-enable-log-requests",
        "--disable-log-stats", "--enforce-eager", "--async-scheduling"}) {
    std::string& seen = options.accepted[flag];
    app.add_flag_callback(
           flag, [] {}, "")
        ->group(group);
    (void)seen;
  }
  for (const char* flag : {"--gpu-memory-utilization", "--dtype", "--uvicorn-log-level",
                           "--swap-space", "--block-size", "--seed"})
    app.add_option(flag, options.accepted[flag], "")->group(group);
  app.add_option("--tensor-parallel-size,--tp", options.accepted["--tensor-parallel-size"], "")
      ->check(CLI::IsMember({"1"}))
      ->group(group);
}

}  // namespace

Command add_serve(CLI::App& app) {
  auto options = std::make_shared<ServeOptions>();
  CLI::App* serve_app =
      app.add_subcommand("serve", "Serve a model over HTTP, as OpenAI's API has it");
  options->model.add_to(*serve_app)->required(false);
  serve_app->add_option("--served-model-name", options->names,
                        "Names that requests may call the model by; the first is shown");
  serve_app->add_option("--max-model-len", options->max_model_len, "The same as --context");
  serve_app->add_option("--max-num-seqs", options->max_num_seqs,
                        "Most answers at a time; 0: 8, on a GPU 256");
  options->model.add_step_budget_to(*serve_app);
  serve_app->add_option("--cache-tokens", options->cache_tokens,
                        "KV room for all answers and kept prefixes, in tokens; 0: two contexts, on "
                        "a GPU what its memory leaves");
  serve_app->add_flag("--no-enable-prefix-caching", options->no_prefix_caching,
                      "Forget each answer's memory at its end");
  serve_app->add_option("--chat-template", options->chat_template,
                        "A Jinja file to use instead of the model's own");
  serve_app->add_option("--speculative-config", options->speculative_config,
                        "Guess tokens from the text so far, where a request does not say: "
                        "{\"method\": \"ngram\", \"num_speculative_tokens\": 5}; or with a smaller "
                        "model: {\"method\": \"draft_model\", \"model\": \"ORG/NAME\"}");
  serve_app
      ->add_option("--tool-call-parser", options->tool_call_parser,
                   "none: calls are left in the text; any other name: the model's own form")
      ->capture_default_str();
  serve_app
      ->add_option("--reasoning-parser", options->reasoning_parser,
                   "none: <think> is left in the text; any other name: it is split off")
      ->capture_default_str();
  serve_app
      ->add_option("--generation-config", options->generation_config,
                   "Sampling where a request says nothing: auto: what the model recommends; vllm: "
                   "temperature 1")
      ->check(CLI::IsMember({"auto", "vllm"}))
      ->capture_default_str();
  add_network_flags(*serve_app, *options);
  add_accepted_flags(*serve_app, *options);
  return {serve_app, [=] { return serve(*options); }};
}

}  // namespace millrace::cli
