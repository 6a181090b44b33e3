#include "loadgen/runner.h"

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <mutex>
#include <set>
#include <thread>

#include "base/json.h"
#include "loadgen/answer.h"
#include "loadgen/json_line.h"
#include "loadgen/sse.h"

namespace millrace::loadgen {
namespace asio = boost::asio;

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

double metric(std::string_view page, std::string_view name) {
  double sum = 0;
  bool found = false;
  while (!page.empty()) {
    const auto end = std::min(page.find('\n'), page.size());
    const std::string_view line = page.substr(0, end);
    page.remove_prefix(std::min(end + 1, page.size()));
    if (!line.starts_with(name) || line.size() <= name.size() ||
        (line[name.size()] != ' ' && line[name.size()] != '{'))
      continue;
    sum += std::strtod(std::string(line.substr(line.rfind(' ') + 1)).c_str(), nullptr);
    found = true;
  }
  return found ? sum : -1;
}

// Runs one stage. Coroutines of sessions run on strands of their own; what they share is locked.
class Stage {
 public:
  Stage(const Workload& workload, const RunOptions& options, RecordFile& file, StageRecord& record,
        const std::function<void()>& done)
      : workload_(workload),
        options_(options),
        file_(file),
        record_(record),
        done_(done),
        offset_s_(record.duration_s) {
    std::set<std::string> there;
    for (const RequestRecord& request : record.requests) there.insert(request.session);
    for (const Session& session : workload)
      if (!there.contains(session.id)) todo_.push_back(&session);
  }

  // False when a signal broke it off.
  bool run() {
    if (todo_.empty()) return true;
    begin_ = Clock::now();
    open_ = todo_.size();
    const auto start = [&](auto coroutine) {
      asio::co_spawn(asio::make_strand(io_), std::move(coroutine), asio::detached);
    };
    if (record_.load.kind == Load::Kind::Closed) {
      const auto users =
          std::min<std::size_t>(todo_.size(), static_cast<std::size_t>(record_.load.users));
      for (std::size_t i = 0; i < users; ++i) start(user());
    } else {
      start(dispatch());
    }
    if (options_.sample_seconds > 0) start(watch_server());
    signals_.async_wait([this](auto error, int) {
      if (error) return;
      interrupted_ = true;
      io_.stop();
    });
    std::vector<std::thread> threads;
    for (int i = 1; i < options_.threads; ++i) threads.emplace_back([this] { io_.run(); });
    io_.run();
    for (std::thread& thread : threads) thread.join();
    record_.duration_s = now_s();
    file_.add_duration(record_.load, record_.duration_s);
    return !interrupted_;
  }

 private:
  double seconds(Clock::time_point at) const {
    return offset_s_ + std::chrono::duration<double>(at - begin_).count();
  }
  double now_s() const { return seconds(Clock::now()); }

  asio::awaitable<void> sleep(double duration_s) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    timer.expires_after(
        std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(duration_s)));
    co_await timer.async_wait(kAwait);
  }

  const Session* next() {
    const std::lock_guard lock(mutex_);
    return next_ < todo_.size() ? todo_[next_++] : nullptr;
  }

  asio::awaitable<void> user() {
    Client client(co_await asio::this_coro::executor, options_.client);
    while (const Session* session = next()) co_await run_session(*session, client);
  }

  asio::awaitable<void> single(const Session& session) {
    Client client(co_await asio::this_coro::executor, options_.client);
    co_await run_session(session, client);
  }

  asio::awaitable<void> dispatch() {
    const std::vector<double> times =
        arrivals(record_.load, std::ssize(todo_), options_.seed + record_.requests.size());
    for (std::size_t i = 0; i < todo_.size(); ++i) {
      co_await sleep(std::max(0.0, offset_s_ + times[i] - now_s()));
      asio::co_spawn(asio::make_strand(io_), single(*todo_[i]), asio::detached);
    }
  }

  asio::awaitable<void> run_session(const Session& session, Client& client) {
    std::vector<Json> histories;  // behind each turn
    for (std::size_t i = 0; i < session.turns.size(); ++i) {
      const Turn& turn = session.turns[i];
      if (turn.think_s > 0) co_await sleep(turn.think_s);
      Json history = turn.from < 0 ? Json::array() : histories[static_cast<std::size_t>(turn.from)];
      if (turn.messages.is_array())
        for (const Json& message : turn.messages) history.push_back(fitting(message, history));
      RequestRecord record{.session = session.id, .turn = static_cast<std::int64_t>(i)};
      StreamedAnswer answer;
      co_await ask(client, request_body(session, turn, history), turn.messages.is_array(), record,
                   answer);
      history.push_back(answer.message());
      histories.push_back(std::move(history));
      const bool ok = record.ok();
      add(std::move(record));
      if (!ok) break;
    }
    const std::lock_guard lock(mutex_);
    if (--open_ == 0) finish();
  }

  // A tool's result answers a call. Where the model made none, it comes as the user's words.
  static Json fitting(Json message, const Json& history) {
    if (message["role"] != "tool") return message;
    const Json* calls = history.empty() ? nullptr : json_find(history.back(), "tool_calls");
    if (calls && !calls->empty())
      message["tool_call_id"] = calls->front()["id"];
    else
      message["role"] = "user";
    return message;
  }

  std::string request_body(const Session& session, const Turn& turn, const Json& history) const {
    Json body = {{"model", options_.model}};
    if (turn.messages.is_array())
      body["messages"] = history;
    else if (!turn.prompt.empty())
      body["prompt"] = turn.prompt;
    else
      body["prompt"] = turn.text;
    body["max_tokens"] = turn.max_tokens;
    body["stream"] = true;
    body["stream_options"] = {{"include_usage", true}};
    for (const Json* more : {&options_.body, &session.body})
      for (const auto& [key, value] : more->items()) body[key] = value;
    return one_line(body);
  }

  asio::awaitable<void> ask(Client& client, std::string body, bool chat, RequestRecord& record,
                            StreamedAnswer& answer) {
    SseParser events;
    constexpr std::size_t kMostHeld = 64u << 20;
    record.start_s = now_s();
    const auto got = co_await client.post(
        chat ? "/v1/chat/completions" : "/v1/completions", std::move(body),
        [&](std::string_view bytes) {
          const Clock::time_point now = Clock::now();
          events.push(bytes, [&](std::string_view data) { answer.take(data, now); });
          return events.held_bytes() < kMostHeld;
        });
    record.end_s = now_s();
    record.prompt_tokens = answer.prompt_tokens;
    record.cached_tokens = answer.cached_tokens;
    record.completion_tokens =
        answer.completion_tokens >= 0 ? answer.completion_tokens : std::ssize(answer.pieces);
    if (!got)
      record.error = got.error().message;
    else if (got->status != 200)
      record.error = "status " + std::to_string(got->status) + ": " + got->body.substr(0, 300);
    else if (!answer.error.empty())
      record.error = answer.error;
    else if (!answer.done || !answer.finished)
      record.error = "the stream ended before the answer";
    if (answer.pieces.empty()) {
      record.first_s = record.end_s;
      co_return;
    }
    // The last piece, not the end of the stream: what follows is bookkeeping.
    record.first_s = seconds(answer.pieces.front());
    if (record.ok()) record.end_s = seconds(answer.pieces.back());
    for (std::size_t i = 1; i < answer.pieces.size(); ++i)
      record.gaps_s.push_back(
          std::chrono::duration<double>(answer.pieces[i] - answer.pieces[i - 1]).count());
  }

  void add(RequestRecord record) {
    const std::lock_guard lock(mutex_);
    file_.add(record_.load, record);
    record_.requests.push_back(std::move(record));
    done_();
  }

  asio::awaitable<void> watch_server() {
    Client client(co_await asio::this_coro::executor, options_.client);
    while (!finished_) {
      const auto page = co_await client.get("/metrics");
      if (!page || page->status != 200) co_return;  // it has none
      const ServerSample sample{
          .at_s = now_s(),
          .resident_bytes = metric(page->body, "process_resident_memory_bytes"),
          .kv_usage = metric(page->body, "vllm:kv_cache_usage_perc"),
          .running = metric(page->body, "vllm:num_requests_running"),
          .waiting = metric(page->body, "vllm:num_requests_waiting")};
      {
        const std::lock_guard lock(mutex_);
        file_.add(record_.load, sample);
        record_.samples.push_back(sample);
      }
      co_await sleep(options_.sample_seconds);
    }
  }

  void finish() {
    finished_ = true;
    io_.stop();
  }

  const Workload& workload_;
  const RunOptions& options_;
  RecordFile& file_;
  StageRecord& record_;
  const std::function<void()>& done_;
  double offset_s_;  // what earlier runs of this stage took
  Clock::time_point begin_;
  std::vector<const Session*> todo_;

  std::mutex mutex_;
  std::size_t next_ = 0;
  std::size_t open_ = 0;  // sessions
  std::atomic<bool> finished_ = false;
  std::atomic<bool> interrupted_ = false;

  asio::io_context io_;  // last: coroutines that are broken off go before what they use
  asio::signal_set signals_{io_, SIGINT, SIGTERM};
};

}  // namespace

Result<bool> run_stage(const Workload& workload, const RunOptions& options, RecordFile& file,
                       StageRecord& stage, const std::function<void()>& done) {
  Stage run(workload, options, file, stage, done);
  stage.complete = run.run();
  return stage.complete;
}

Result<ServedModelInfo> ask_for_model(const ClientOptions& options, const std::string& name) {
  asio::io_context io;
  Result<HttpAnswer> answer = fail(ErrorCode::Unavailable, "no answer");
  asio::co_spawn(
      io,
      [&]() -> asio::awaitable<void> {
        Client client(io.get_executor(), options);
        answer = co_await client.get("/v1/models");
      },
      asio::detached);
  io.run();
  if (!answer) return tl::unexpected(answer.error());
  if (answer->status != 200)
    return fail(ErrorCode::Unavailable, "{}/v1/models: status {}: {}", options.url.text(),
                answer->status, answer->body.substr(0, 200));
  const Json json = MILLRACE_TRY(parse_json(answer->body, "/v1/models"));
  const Json* data = json_find(json, "data");
  if (!data || !data->is_array() || data->empty())
    return fail(ErrorCode::Corrupt, "{}/v1/models: names no model", options.url.text());
  for (const Json& model : *data) {
    const auto id = MILLRACE_TRY(json_string(model, "id"));
    if (!id || (!name.empty() && *id != name)) continue;
    return ServedModelInfo{.name = *id,
                           .vocab = MILLRACE_TRY(json_int(model, "vocab_size", 0)).value_or(0)};
  }
  return fail(ErrorCode::NotFound, "{}: does not serve a model '{}'", options.url.text(), name);
}

}  // namespace millrace::loadgen
