// What the paths do. Belongs to the IO thread; long work goes to a pool of workers.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <memory>
#include <string>
#include <unordered_map>

#include "api/embeddings.h"
#include "api/renderer.h"
#include "api/response_store.h"
#include "server/config.h"
#include "server/exchange.h"
#include "server/metrics.h"
#include "server/token_relay.h"

namespace millrace::server {

class App {
 public:
  App(boost::asio::io_context& io, Engine& engine, const ServerConfig& config, ServedModel model);
  ~App();

  // Answers the request, whatever it is.
  boost::asio::awaitable<void> handle(Exchange& exchange);

  // From now on: not ready, and no new answers are begun.
  void drain() { draining_ = true; }
  bool draining() const { return draining_; }

  Metrics& metrics() { return metrics_; }
  TokenRelay& relay() { return relay_; }
  const ServerConfig& config() const { return config_; }

 private:
  // An API that generates: how its body is read and its answer written.
  struct Api {
    ApiResult<GenerationSpec> (*parse)(const Json& body, const ServedModel& model);
    std::unique_ptr<Renderer> (*renderer)(std::shared_ptr<const GenerationSpec> spec,
                                          ResponseNames names, const Tokenizer* tokenizer);
    const char* id_prefix;
    Json (*error)(const ApiError& error);
    bool stores = false;  // answers may be kept, and be gone on from
  };
  // An API whose answer follows from the body alone, made on a worker.
  using Compute = ApiResult<Json> (*)(const Json& body, const ServedModel& model);
  struct Route;

  static const Route* find_route(std::string_view path);
  bool is_authorized(const HttpRequest& request) const;
  void add_cors(Exchange& exchange) const;

  // These return the status that was sent; 499 where nobody was there to read it.
  boost::asio::awaitable<int> route(Exchange& exchange, const Route* found);
  boost::asio::awaitable<int> send(Exchange& exchange, HttpReply reply);
  boost::asio::awaitable<int> refuse(Exchange& exchange, const ApiError& error,
                                     Json (*body)(const ApiError&) = error_json);
  boost::asio::awaitable<int> generate(Exchange& exchange, const Api& api);
  boost::asio::awaitable<int> compute(Exchange& exchange, Compute work);
  boost::asio::awaitable<int> inspect(Exchange& exchange);
  boost::asio::awaitable<int> embed(Exchange& exchange);
  boost::asio::awaitable<bool> stream_answers(Exchange& exchange, Job& job, Renderer& renderer);

  // /v1/responses/ID and what is below it.
  boost::asio::awaitable<int> stored(Exchange& exchange);
  boost::asio::awaitable<int> abort_requests(Exchange& exchange);
  // An answer that nobody waits for.
  struct Active;
  boost::asio::awaitable<void> make_in_background(std::shared_ptr<Job> job,
                                                  std::shared_ptr<Renderer> renderer,
                                                  std::unique_ptr<Active> active);
  void count(const Renderer& renderer);

  // Waits for more of the answers and hands each update to `take`; false when the client is gone.
  template <typename Take>
  boost::asio::awaitable<bool> next_updates(RequestFacts& facts, Job& job, Renderer& renderer,
                                            int& open, Take take);
  // Why so many answers at once, which a field asks for, are not begun now.
  std::optional<ApiError> refusal(std::int64_t answers, std::string_view field);
  Status start(const std::shared_ptr<Job>& job, std::vector<Request> requests,
               const std::string& label);
  // The job is cancelled when the client goes.
  static void watch(Exchange& exchange, const std::shared_ptr<Job>& job);
  void observe(Job& job, const TokenUpdate& update, RequestFacts& facts);
  int retry_after() const;

  Json models() const;
  HttpReply fixed(std::string_view path) const;

  boost::asio::io_context& io_;
  Engine& engine_;
  const ServerConfig& config_;
  ServedModel model_;
  std::int64_t created_;
  Metrics metrics_;
  TokenRelay relay_;
  ResponseStore responses_{4096, 64u << 20};
  // By the request's and the answer's ids. Shared, since a coroutine's frame may go last.
  using ActiveJobs = std::unordered_map<std::string, std::weak_ptr<Job>>;
  std::shared_ptr<ActiveJobs> active_ = std::make_shared<ActiveJobs>();
  boost::asio::thread_pool workers_;
  bool draining_ = false;
};

}  // namespace millrace::server
