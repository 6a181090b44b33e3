#include "server/server.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <list>

#include "server/app.h"
#include "server/session.h"

namespace millrace::server {
namespace asio = boost::asio;
using boost::system::error_code;
using tcp = asio::ip::tcp;

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// A connection is a descriptor: take as many as the system gives.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

class ServerImpl final : public Server {
 public:
  ServerImpl(std::unique_ptr<Engine> engine, ServerConfig config, ServedModel model)
      : config_(std::move(config)),
        acceptor_(io_),
        signals_(io_, SIGTERM, SIGINT),
        app_(std::make_unique<App>(io_, *engine, config_, std::move(model))),
        engine_(std::move(engine)) {}

  ~ServerImpl() override {
    engine_.reset();  // its thread posts to the app's relay
    app_.reset();
  }

  Status bind() {
    if (config_.ssl_certfile.empty() != config_.ssl_keyfile.empty())
      return fail(ErrorCode::InvalidArgument,
                  "--ssl-certfile and --ssl-keyfile go together: found only one");
    if (!config_.ssl_certfile.empty())
      tls_ = MILLRACE_TRY(make_tls_context(config_.ssl_certfile, config_.ssl_keyfile));
    error_code error;
    tcp::resolver resolver(io_);
    const auto found =
        resolver.resolve(config_.host, std::to_string(config_.port), tcp::resolver::passive, error);
    if (error || found.empty())
      return fail(ErrorCode::InvalidArgument, "--host {}: {}", config_.host, error.message());
    const tcp::endpoint endpoint = *found.begin();
    const auto failed = [&] {
      return fail(ErrorCode::Unavailable, "cannot listen on {} port {}: {}", config_.host,
                  config_.port, error.message());
    };
    acceptor_.open(endpoint.protocol(), error);
    if (error) return failed();
    acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    acceptor_.bind(endpoint, error);
    if (error) return failed();
    acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) return failed();
    return {};
  }

  std::string address() const override {
    const tcp::endpoint local = acceptor_.local_endpoint();
    const std::string host = local.address().to_string();
    return fmt::format(fmt::runtime(local.address().is_v6() ? "{}://[{}]:{}" : "{}://{}:{}"),
                       tls_ ? "https" : "http", host, local.port());
  }

  void run() override {
    raise_descriptor_limit();
    asio::co_spawn(io_, accept(), asio::detached);
    asio::co_spawn(io_, wait_for_signals(), asio::detached);
    io_.run();
    if (config_.trace_path.empty() || !engine_->trace()) return;
    if (const Status written =
            write_chrome_trace(config_.trace_path, *engine_->trace(), "millrace serve");
        !written)
      log_event(written.error().message);
  }

 private:
  void log_event(const std::string& message) const {
    fmt::print(stderr, "{}",
               event_line(config_.log_format, message, utc_time(std::chrono::system_clock::now())));
  }

  asio::awaitable<void> accept() {
    asio::steady_timer pause(io_);
    while (acceptor_.is_open()) {
      auto [error, socket] = co_await acceptor_.async_accept(kAwait);
      if (error == asio::error::operation_aborted) co_return;
      if (error) {  // out of descriptors, as a rule: others will come free
        pause.expires_after(std::chrono::milliseconds(50));
        co_await pause.async_wait(kAwait);
        continue;
      }
      if (std::ssize(sessions_) >= config_.most_connections) {
        ++app_->metrics().rejected;
        socket.close(error);
        continue;
      }
      asio::co_spawn(io_, serve(std::move(socket)), asio::detached);
    }
  }

  asio::awaitable<void> serve(tcp::socket socket) {
    const auto session = sessions_.emplace(sessions_.end(), std::move(socket), tls_.get(), *app_);
    app_->metrics().connections = std::ssize(sessions_);
    try {
      co_await session->run();
    } catch (const std::exception& e) {  // no memory for this one: the others go on
      log_event(fmt::format("a connection failed: {}", e.what()));
    }
    sessions_.erase(session);
    app_->metrics().connections = std::ssize(sessions_);
    if (app_->draining() && sessions_.empty()) finished_.cancel();
  }

  asio::awaitable<void> wait_for_signals() {
    co_await signals_.async_wait(kAwait);
    log_event(fmt::format("ending: {} answers are let to their end", app_->relay().open_answers()));
    app_->drain();
    error_code ignored;
    acceptor_.close(ignored);
    for (Session& session : sessions_) session.close_when_idle();
    asio::co_spawn(io_, second_signal(), asio::detached);
    if (!sessions_.empty()) {
      finished_.expires_after(config_.drain_time);
      co_await finished_.async_wait(kAwait);
    }
    // Whoever is left gets the end of an answer that was broken off.
    app_->relay().cancel_all();
    for (int rounds = 0; rounds < 100 && !sessions_.empty(); ++rounds) {
      finished_.expires_after(std::chrono::milliseconds(20));
      co_await finished_.async_wait(kAwait);
    }
    for (Session& session : sessions_) session.close_now();
    signals_.cancel(ignored);
    app_->relay().close();
    finished_.expires_after(std::chrono::milliseconds(200));
    co_await finished_.async_wait(kAwait);
    io_.stop();
  }

  asio::awaitable<void> second_signal() {
    const auto [error, number] = co_await signals_.async_wait(kAwait);
    (void)number;
    if (!error) finished_.cancel();
  }

  ServerConfig config_;
  asio::io_context io_{1};
  std::unique_ptr<TlsContext> tls_;
  tcp::acceptor acceptor_;
  asio::signal_set signals_;
  asio::steady_timer finished_{io_};
  std::unique_ptr<App> app_;
  std::unique_ptr<Engine> engine_;
  std::list<Session> sessions_;
};

}  // namespace

Result<std::unique_ptr<Server>> Server::open(std::unique_ptr<Engine> engine, ServerConfig config,
                                             ServedModel model) {
  auto server =
      std::make_unique<ServerImpl>(std::move(engine), std::move(config), std::move(model));
  MILLRACE_TRY(server->bind());
  return server;
}

}  // namespace millrace::server
