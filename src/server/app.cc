#include "server/app.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <ctime>

#include "base/json.h"
#include "server/app_parts.h"
#include "server/debug_pages.h"
#include "server/playground.h"
#include "server/request_log.h"

namespace millrace::server {
namespace asio = boost::asio;

struct App::Route {
  enum class Kind { Generate, Compute, ResetCache, Inspect, Embed, Fixed, Stored, Abort };
  std::string_view path;
  std::string_view method;
  bool open = false;  // needs no API key
  Kind kind = Kind::Fixed;
  Api api = {};
  Compute compute = nullptr;
};

namespace {

// Equal length and content, in a time that tells nothing of either.
bool same_secret(std::string_view a, std::string_view b) {
  const auto digest = [](std::string_view text) {
    std::array<unsigned char, SHA256_DIGEST_LENGTH> hash{};
    SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), hash.data());
    return hash;
  };
  const auto x = digest(a), y = digest(b);
  return CRYPTO_memcmp(x.data(), y.data(), x.size()) == 0;
}

Json failed_body(Json response, const std::string& message) {
  response["status"] = "failed";
  response["error"] = {{"code", "server_error"}, {"message", message}};
  return response;
}

std::vector<Request> requests_of(const GenerationSpec& spec) {
  std::vector<Request> requests;
  for (const std::vector<TokenId>& prompt : spec.prompts)
    for (int k = 0; k < spec.n; ++k) {
      Request& request = requests.emplace_back(spec.request);
      request.prompt = prompt;
      // Answers to one prompt differ, and are the same again with the same seed.
      if (request.sampling.seed) *request.sampling.seed += static_cast<std::uint64_t>(k);
      // One of them brings what is said of the prompt.
      if (k > 0) request.prompt_logprobs.reset();
    }
  return requests;
}

HttpReply json_reply(const Json& json, int status = 200) {
  return {.status = status, .body = dump(json)};
}

}  // namespace

const App::Route* App::find_route(std::string_view path) {
  using Kind = Route::Kind;
  constexpr auto kGenerate = Kind::Generate;
  static const Route kRoutes[] = {
      {.path = "/v1/chat/completions",
       .method = "POST",
       .kind = kGenerate,
       .api = {parse_chat, make_chat_renderer, "chatcmpl-", error_json}},
      {.path = "/v1/completions",
       .method = "POST",
       .kind = kGenerate,
       .api = {parse_completion, make_completion_renderer, "cmpl-", error_json}},
      {.path = "/v1/responses",
       .method = "POST",
       .kind = kGenerate,
       .api = {parse_responses, make_responses_renderer, "resp_", error_json, true}},
      {.path = "/v1/messages",
       .method = "POST",
       .kind = kGenerate,
       .api = {parse_messages, make_messages_renderer, "msg_", anthropic_error_json}},
      {.path = "/v1/messages/count_tokens",
       .method = "POST",
       .kind = Kind::Compute,
       .compute = count_message_tokens},
      {.path = "/v1/embeddings", .method = "POST", .kind = Kind::Embed},
      {.path = "/reset_prefix_cache", .method = "POST", .kind = Kind::ResetCache},
      {.path = "/tokenize", .method = "POST", .kind = Kind::Compute, .compute = tokenize},
      {.path = "/detokenize", .method = "POST", .kind = Kind::Compute, .compute = detokenize},
      {.path = "/v1/responses/", .method = "", .kind = Kind::Stored},
      {.path = "/abort_requests", .method = "POST", .kind = Kind::Abort},
      {.path = "/v1/models", .method = "GET"},
      {.path = "/debug/state", .method = "GET", .kind = Kind::Inspect},
      {.path = "/debug/trace", .method = "GET", .kind = Kind::Inspect},
      {.path = "/health", .method = "GET", .open = true},
      {.path = "/ready", .method = "GET", .open = true},
      {.path = "/version", .method = "GET", .open = true},
      {.path = "/metrics", .method = "GET", .open = true},
  };
  for (const Route& route : kRoutes)
    if (route.path == path) return &route;
  if (path.starts_with("/v1/responses/")) return find_route("/v1/responses/");
  // One model's entry.
  if (path.starts_with("/v1/models/")) return find_route("/v1/models");
  return nullptr;
}

App::App(asio::io_context& io, Engine& engine, const ServerConfig& config, ServedModel model)
    : io_(io),
      engine_(engine),
      config_(config),
      model_(std::move(model)),
      created_(std::time(nullptr)),
      relay_(io),
      workers_(static_cast<std::size_t>(std::max(1, config.workers))) {}

App::~App() {
  workers_.join();
}

bool App::is_authorized(const HttpRequest& request) const {
  if (config_.api_keys.empty()) return true;
  constexpr std::string_view kBearer = "Bearer ";
  std::string_view given = request.x_api_key;
  if (request.authorization.starts_with(kBearer))
    given = std::string_view(request.authorization).substr(kBearer.size());
  bool known = false;
  for (const std::string& key : config_.api_keys) known |= same_secret(key, given);
  return known;
}

void App::add_cors(Exchange& exchange) const {
  const auto& allowed = config_.allowed_origins;
  const std::string& origin = exchange.request().origin;
  if (allowed.empty() || origin.empty()) return;
  const bool all = std::find(allowed.begin(), allowed.end(), "*") != allowed.end();
  if (!all && std::find(allowed.begin(), allowed.end(), origin) == allowed.end()) return;
  exchange.add_header("Access-Control-Allow-Origin", all ? "*" : origin);
  if (!all) exchange.add_header("Vary", "Origin");
  exchange.add_header("Access-Control-Expose-Headers", "x-request-id, retry-after");
  if (exchange.request().method != "OPTIONS") return;
  exchange.add_header("Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS");
  exchange.add_header("Access-Control-Allow-Headers", "*, authorization, content-type, x-api-key");
  exchange.add_header("Access-Control-Max-Age", "600");
}

asio::awaitable<int> App::send(Exchange& exchange, HttpReply reply) {
  const int status = reply.status;
  const bool sent = co_await exchange.reply(std::move(reply));
  co_return sent ? status : kClientGone;
}

asio::awaitable<int> App::refuse(Exchange& exchange, const ApiError& error,
                                 Json (*body)(const ApiError&)) {
  HttpReply reply = json_reply(body(error), error.status);
  if (error.retry_after_seconds > 0)
    reply.headers.emplace_back("Retry-After", std::to_string(error.retry_after_seconds));
  if (error.status == 401) reply.headers.emplace_back("WWW-Authenticate", "Bearer");
  co_return co_await send(exchange, std::move(reply));
}

asio::awaitable<void> App::handle(Exchange& exchange) {
  exchange.add_header("x-request-id", exchange.request().id);
  add_cors(exchange);
  const Route* found = find_route(exchange.request().path);
  const Clock::time_point arrived = Clock::now();
  const int status = co_await route(exchange, found);
  ++metrics_.http[{found ? std::string(found->path) : "other", status}];
  if (config_.log_requests) {
    const std::chrono::duration<double> taken = Clock::now() - arrived;
    fmt::print(stderr, "{}",
               request_line(config_.log_format, exchange.request(), exchange.facts(), status,
                            taken.count(), utc_time(std::chrono::system_clock::now())));
  }
}

asio::awaitable<int> App::route(Exchange& exchange, const Route* found) {
  const HttpRequest& request = exchange.request();
  if (request.method == "OPTIONS") {
    HttpReply reply{.status = 204};
    co_return co_await send(exchange, std::move(reply));
  }
  if (!found && (request.method == "GET" || request.method == "HEAD")) {
    if (auto page = playground_reply(request.path))
      co_return co_await send(exchange, std::move(*page));
  }
  if (!found) {
    const ApiError error = not_found(request.path.substr(0, 200));
    co_return co_await refuse(exchange, error);
  }
  const auto error_body = found->kind == Route::Kind::Generate ? found->api.error : error_json;
  const bool head = request.method == "HEAD" && found->method == "GET";
  if (!found->method.empty() && request.method != found->method && !head) {
    const ApiError error{
        .status = 405, .message = fmt::format("{} takes {} requests", found->path, found->method)};
    HttpReply reply = json_reply(error_body(error), 405);
    reply.headers.emplace_back("Allow", std::string(found->method));
    co_return co_await send(exchange, std::move(reply));
  }
  if (!found->open && !is_authorized(request)) {
    const ApiError error{.status = 401,
                         .message = "the API key is missing or wrong",
                         .type = "authentication_error",
                         .code = "invalid_api_key"};
    co_return co_await refuse(exchange, error, error_body);
  }
  switch (found->kind) {
    case Route::Kind::Generate:
      co_return co_await generate(exchange, found->api);
    case Route::Kind::Compute:
      co_return co_await compute(exchange, found->compute);
    case Route::Kind::ResetCache: {
      // The engine's thread does it between two steps: a worker waits for that.
      const Status done =
          co_await run_on(workers_, [this] { return engine_.reset_prefix_cache(); });
      HttpReply reply{.body = "{}"};
      if (done) co_return co_await send(exchange, std::move(reply));
      const ApiError error = unavailable(done.error().message);
      co_return co_await refuse(exchange, error);
    }
    case Route::Kind::Stored:
      co_return co_await stored(exchange);
    case Route::Kind::Abort:
      co_return co_await abort_requests(exchange);
    case Route::Kind::Embed:
      co_return co_await embed(exchange);
    case Route::Kind::Inspect:
      co_return co_await inspect(exchange);
    case Route::Kind::Fixed:
      break;
  }
  HttpReply reply = fixed(request.path);
  co_return co_await send(exchange, std::move(reply));
}

HttpReply App::fixed(std::string_view path) const {
  const bool broken = engine_.stats().broken;
  if (path == "/health")
    return broken ? json_reply({{"error", "the device has failed: restart"}}, 503)
                  : HttpReply{.body = "{}"};
  if (path == "/version") return json_reply({{"version", MILLRACE_VERSION}});
  if (path == "/ready")
    return draining_ || broken ? json_reply({{"ready", false}}, 503)
                               : json_reply({{"ready", true}});
  if (path == "/metrics")
    return {.body = metrics_.text(model_.names.front(), engine_.stats()),
            .content_type = "text/plain; version=0.0.4; charset=utf-8"};
  const Json all = models();
  if (path == "/v1/models") return json_reply(all);
  const std::string_view name = path.substr(std::string_view("/v1/models/").size());
  for (const Json& one : all["data"])
    if (one["id"] == name) return json_reply(one);
  return json_reply(error_json({.status = 404,
                                .message = fmt::format("model '{}' is not served", name),
                                .type = "not_found_error",
                                .param = "model",
                                .code = "model_not_found"}),
                    404);
}

// On a worker: the engine answers between two steps.
asio::awaitable<int> App::inspect(Exchange& exchange) {
  const bool state = exchange.request().path == "/debug/state";
  if (!state && !engine_.trace()) {
    const ApiError error{.status = 404,
                         .message = "no timeline is kept: start the server with --trace FILE",
                         .type = "not_found_error"};
    co_return co_await refuse(exchange, error);
  }
  auto body = co_await run_on(workers_, [&]() -> Result<std::string> {
    if (!state) return chrome_trace(engine_.trace()->snapshot(), "millrace serve");
    return dump(debug_state(MILLRACE_TRY(engine_.inspect())));
  });
  if (!body) {
    const ApiError error = api_error(body.error());
    co_return co_await refuse(exchange, error);
  }
  HttpReply reply{.body = std::move(*body)};
  co_return co_await send(exchange, std::move(reply));
}

Json App::models() const {
  Json data = Json::array();
  for (const std::string& name : model_.names)
    data.push_back({{"id", name},
                    {"object", "model"},
                    {"created", created_},
                    {"owned_by", "millrace"},
                    {"root", model_.names.front()},
                    {"parent", nullptr},
                    {"max_model_len", model_.context},
                    {"vocab_size", engine_.files().config.vocab}});
  return {{"object", "list"}, {"data", std::move(data)}};
}

asio::awaitable<int> App::compute(Exchange& exchange, Compute work) {
  const auto result = co_await run_on(workers_, [&]() -> ApiResult<Json> {
    const auto body = parse_json(exchange.request().body, "body", 128);
    if (!body) return api_fail(api_error(body.error()));
    return work(*body, model_);
  });
  if (!result) co_return co_await refuse(exchange, result.error());
  HttpReply reply = json_reply(*result);
  co_return co_await send(exchange, std::move(reply));
}

int App::retry_after() const {
  // What waits, at the pace of the answers so far.
  const EngineStats stats = engine_.stats();
  const double rounds = static_cast<double>(relay_.open_answers()) /
                        static_cast<double>(std::max<std::int64_t>(1, stats.max_running));
  return std::clamp(static_cast<int>(rounds * metrics_.end_to_end.mean()), 1, 60);
}

std::optional<ApiError> App::refusal(std::int64_t answers, std::string_view field) {
  if (draining_) return unavailable("the server is shutting down");
  const std::int64_t room = engine_.stats().max_running + config_.most_waiting;
  if (answers > room)
    return bad_field(field,
                     fmt::format("{} answers in one request, the limit is {}", answers, room));
  if (relay_.open_answers() + answers <= room) return std::nullopt;
  ++metrics_.rejected;
  return overloaded(retry_after());
}

Status App::start(const std::shared_ptr<Job>& job, std::vector<Request> requests,
                  const std::string& label) {
  job->last_token.resize(requests.size());
  int choice = 0;
  for (Request& request : requests) {
    request.label = label;
    request.timeout_seconds = config_.request_seconds;
    if (Status status = relay_.submit(engine_, job, choice++, std::move(request)); !status) {
      job->gone = true;
      job->cancel();
      return status;
    }
  }
  return {};
}

void App::watch(Exchange& exchange, const std::shared_ptr<Job>& job) {
  exchange.watch([weak = std::weak_ptr(job)] {
    const auto watched = weak.lock();
    if (!watched) return;
    watched->gone = true;
    watched->cancel();
    watched->notify();
  });
}

void App::observe(Job& job, const TokenUpdate& update, RequestFacts& facts) {
  const auto seconds = [](Clock::duration d) { return std::chrono::duration<double>(d).count(); };
  Clock::time_point& last = job.last_token[static_cast<std::size_t>(update.choice)];
  if (update.token) {
    if (last == Clock::time_point())
      metrics_.time_to_first_token.observe(seconds(update.at - job.arrived));
    else
      metrics_.inter_token.observe(seconds(update.at - last));
    last = update.at;
  }
  if (!update.finish) return;
  const Usage& usage = update.usage;
  if (facts.prompt_tokens < 0) {
    facts.prompt_tokens = 0;
    facts.first_token_seconds = usage.first_token_seconds;
  }
  facts.prompt_tokens += usage.prompt_tokens;
  facts.cached_tokens += usage.cached_tokens;
  facts.completion_tokens += usage.completion_tokens;
  facts.finish_reason = to_string(*update.finish);
  ++metrics_.finished[update.finish == FinishReason::Cancelled
                          ? "abort"
                          : std::string(to_string(*update.finish))];
  metrics_.end_to_end.observe(seconds(update.at - job.arrived));
  metrics_.prompt_tokens.observe(static_cast<double>(usage.prompt_tokens));
  metrics_.generation_tokens.observe(static_cast<double>(usage.completion_tokens));
  if (usage.completion_tokens > 0) {
    metrics_.queue_time.observe(usage.queue_seconds);
    metrics_.prefill_time.observe(usage.first_token_seconds - usage.queue_seconds);
    metrics_.decode_time.observe(usage.total_seconds - usage.first_token_seconds);
    metrics_.inference_time.observe(usage.total_seconds - usage.queue_seconds);
  }
  if (usage.completion_tokens > 1)
    metrics_.per_output_token.observe((usage.total_seconds - usage.first_token_seconds) /
                                      static_cast<double>(usage.completion_tokens - 1));
}

template <typename Take>
asio::awaitable<bool> App::next_updates(RequestFacts& facts, Job& job, Renderer& renderer,
                                        int& open, Take take) {
  co_await job.wait();
  if (job.gone) co_return false;
  const std::vector<TokenUpdate> updates = std::exchange(job.updates, {});
  for (const TokenUpdate& update : updates) {
    observe(job, update, facts);
    take(update);
    const auto index = static_cast<std::size_t>(update.choice);
    if (renderer.choices()[index].wants_end()) job.answers[index].cancel();
    open -= update.finish.has_value();
  }
  co_return true;
}

asio::awaitable<bool> App::stream_answers(Exchange& exchange, Job& job, Renderer& renderer) {
  if (!co_await exchange.begin_stream("text/event-stream")) co_return false;
  int open = static_cast<int>(renderer.choices().size());
  std::string out;
  renderer.begin(out);
  while (open > 0) {
    const bool here =
        co_await next_updates(exchange.facts(), job, renderer, open,
                              [&](const TokenUpdate& update) { renderer.update(update, out); });
    if (!here) co_return false;
    if (const std::string* failure = renderer.failure()) {
      renderer.fail({.status = 500, .message = *failure, .type = "server_error"}, out);
      job.cancel();
      open = 0;
    } else if (open == 0) {
      renderer.end(out);
    }
    if (out.empty()) continue;
    if (!co_await exchange.write(std::exchange(out, {}))) co_return false;
  }
  co_return co_await exchange.end_stream();
}

asio::awaitable<int> App::generate(Exchange& exchange, const Api& api) {
  const Clock::time_point arrived = Clock::now();
  auto parsed =
      co_await run_on(workers_, [&]() -> ApiResult<std::shared_ptr<const GenerationSpec>> {
        auto body = parse_json(exchange.request().body, "body", 128);
        if (!body) return api_fail(api_error(body.error()));
        if (api.stores && body->is_object()) {
          auto whole = responses_.with_history(std::move(*body));
          if (!whole) return api_fail(std::move(whole.error()));
          *body = std::move(*whole);
        }
        auto made = api.parse(*body, model_);
        if (!made) return api_fail(std::move(made.error()));
        return std::make_shared<const GenerationSpec>(std::move(*made));
      });
  if (!parsed) co_return co_await refuse(exchange, parsed.error(), api.error);
  const std::shared_ptr<const GenerationSpec> spec = std::move(*parsed);
  const auto choices = static_cast<std::int64_t>(spec->choices());
  if (const auto error = refusal(choices, "n"))
    co_return co_await refuse(exchange, *error, api.error);

  const auto job = relay_.make_job();
  job->arrived = arrived;
  if (const Status status = start(job, requests_of(*spec), exchange.request().id); !status) {
    const ApiError error = api_error(status.error());
    co_return co_await refuse(exchange, error, api.error);
  }
  const auto& tokenizer = model_.files.tokenizer;
  const std::string id = api.id_prefix + random_id();
  const std::shared_ptr<Renderer> renderer =
      api.renderer(spec, {.id = id, .model = model_.names.front(), .created = std::time(nullptr)},
                   tokenizer ? &*tokenizer : nullptr);
  auto active =
      std::make_unique<Active>(active_, std::vector<std::string>{id, exchange.request().id}, job);
  if (spec->store)
    responses_.begin(renderer->begun(), spec->input_items, [weak = std::weak_ptr(job)] {
      if (const auto running = weak.lock()) running->cancel();
    });
  if (spec->background) {
    HttpReply reply = json_reply(renderer->begun());
    asio::co_spawn(io_, make_in_background(job, renderer, std::move(active)), asio::detached);
    co_return co_await send(exchange, std::move(reply));
  }
  watch(exchange, job);

  int status = 200;
  bool sent = true;
  exchange.facts().stream = spec->stream;
  if (spec->stream) {
    ++metrics_.streams;
    sent = co_await stream_answers(exchange, *job, *renderer);
    --metrics_.streams;
  } else {
    int open = static_cast<int>(choices);
    while (open > 0 && sent)
      sent = co_await next_updates(exchange.facts(), *job, *renderer, open,
                                   [&](const TokenUpdate& update) { renderer->collect(update); });
    if (sent) {
      if (const std::string* failure = renderer->failure()) {
        const ApiError error{.status = 500, .message = *failure, .type = "server_error"};
        if (spec->store) responses_.finish(failed_body(renderer->begun(), *failure));
        co_return co_await refuse(exchange, error, api.error);
      }
      HttpReply reply;
      if (spec->request.prompt_logprobs)  // megabytes, perhaps
        reply.body = co_await run_on(workers_, [&] { return dump(renderer->body()); });
      else
        reply = json_reply(renderer->body());
      status = co_await send(exchange, std::move(reply));
      sent = status != kClientGone;
    }
  }
  count(*renderer);
  if (spec->store) responses_.finish(renderer->body());
  if (sent) co_return status;
  job->gone = true;
  job->cancel();
  ++metrics_.disconnected;
  co_return kClientGone;
}

void App::count(const Renderer& renderer) {
  metrics_.tool_calls += renderer.call_counts().calls;
  metrics_.tool_call_problems += renderer.call_counts().problems;
}

asio::awaitable<void> App::make_in_background(std::shared_ptr<Job> job,
                                              std::shared_ptr<Renderer> renderer,
                                              std::unique_ptr<Active> active) {
  RequestFacts facts;  // of the request's line in the log, which has been written
  int open = static_cast<int>(renderer->choices().size());
  while (open > 0)
    co_await next_updates(facts, *job, *renderer, open,
                          [&](const TokenUpdate& update) { renderer->collect(update); });
  active.reset();
  count(*renderer);
  const std::string* failure = renderer->failure();
  responses_.finish(failure ? failed_body(renderer->begun(), *failure) : renderer->body());
}

}  // namespace millrace::server
