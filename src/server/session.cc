#include "server/session.h"

#include <fmt/format.h>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/stream_traits.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <sstream>

namespace millrace::server {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;

namespace {

using Response = http::response<http::empty_body>;  // bodies are put behind it
using RequestParser = http::request_parser<http::string_body>;

constexpr std::size_t kReadBytes = 65536;
constexpr std::size_t kMostRequestId = 128;

std::string request_id(std::string_view given) {
  const bool usable = !given.empty() && given.size() <= kMostRequestId &&
                      given.find_first_not_of(
                          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                          "0123456789-_.:/") == std::string_view::npos;
  return usable ? std::string(given) : "req-" + random_id();
}

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

std::string header_text(const Response& response) {
  std::ostringstream text;
  text << response.base();
  return std::move(text).str();
}

}  // namespace

struct Session::Buffer {
  beast::flat_buffer bytes;
};

class Session::HttpExchange final : public Exchange {
 public:
  explicit HttpExchange(Session& session) : session_(session), stream_(session.stream_) {}
  ~HttpExchange() override {
    if (watched_) watched_->gone = nullptr;
  }

  void set(const http::request<http::string_body>& message, std::string body) {
    const std::string_view target = view(message.target());
    request_ = {.method = std::string(view(message.method_string())),
                .path = std::string(target.substr(0, target.find('?'))),
                .body = std::move(body),
                .id = request_id(view(message["x-request-id"])),
                .authorization = std::string(view(message[http::field::authorization])),
                .x_api_key = std::string(view(message["x-api-key"])),
                .origin = std::string(view(message[http::field::origin]))};
    keep_alive_ = message.keep_alive();
    version_ = message.version();
  }

  bool keep_alive() const { return keep_alive_ && !failed_; }

  asio::awaitable<bool> reply(HttpReply reply) override {
    answered_ = true;
    Response response(static_cast<http::status>(reply.status), version_);
    prepare(response, reply.content_type);
    for (const auto& [name, value] : reply.headers) response.set(name, value);
    if (reply.status != 204) response.content_length(reply.body.size());
    std::string text = header_text(response);
    if (request_.method != "HEAD") text += reply.body;
    co_return co_await send(std::move(text));
  }

  asio::awaitable<bool> begin_stream(std::string content_type) override {
    answered_ = true;
    Response response(http::status::ok, version_);
    prepare(response, content_type);
    response.set(http::field::cache_control, "no-cache");
    response.set("X-Accel-Buffering", "no");  // for proxies that would collect the events
    chunked_ = version_ >= 11;
    if (chunked_)
      response.chunked(true);
    else
      keep_alive_ = false;  // the end of the connection ends the body
    co_return co_await send(header_text(response));
  }

  asio::awaitable<bool> write(std::string text) override {
    if (failed_) co_return false;
    if (chunked_) text = fmt::format("{:x}\r\n{}\r\n", text.size(), text);
    co_return co_await send(std::move(text));
  }

  asio::awaitable<bool> end_stream() override {
    if (failed_ || !chunked_) co_return !failed_;
    co_return co_await send("0\r\n\r\n");
  }

  void watch(std::function<void()> gone) override {
    watched_ = std::make_shared<Watched>(Watched{std::move(gone), &stream_});
    wait_for_end(watched_);
  }

  bool answered() const { return answered_; }

 private:
  // Outlives the exchange: its last wait may complete later.
  struct Watched {
    std::function<void()> gone;
    Connection* connection;
  };

  static void wait_for_end(const std::shared_ptr<Watched>& watched) {
    auto& socket = watched->connection->socket();
    socket.async_wait(asio::socket_base::wait_read, [watched](error_code error) {
      if (!watched->gone) return;
      using Waiting = Connection::Waiting;
      const Waiting waiting = error ? Waiting::End : watched->connection->look();
      if (waiting == Waiting::Nothing) return wait_for_end(watched);
      // Bytes of a next request: the client is there.
      if (waiting == Waiting::Bytes) return;
      std::exchange(watched->gone, nullptr)();
    });
  }

  void prepare(Response& response, const std::string& content_type) {
    response.set(http::field::server, "millrace/" MILLRACE_VERSION);
    if (response.result() != http::status::no_content)
      response.set(http::field::content_type, content_type);
    for (const auto& [name, value] : headers_) response.set(name, value);
    if (session_.closing_) keep_alive_ = false;
    response.keep_alive(keep_alive_);
  }

  asio::awaitable<bool> send(std::string text) {
    stream_.expires_after(session_.app_.config().write_time);
    const error_code error = co_await stream_.write(text);
    failed_ = failed_ || error;
    // The connection may now be silent as long as the answer takes.
    stream_.expires_never();
    co_return !failed_;
  }

  Session& session_;
  Connection& stream_;
  std::shared_ptr<Watched> watched_;
  bool keep_alive_ = true;
  bool answered_ = false;
  bool failed_ = false;
  bool chunked_ = false;
  unsigned version_ = 11;
};

Session::Session(asio::ip::tcp::socket socket, TlsContext* tls, App& app)
    : stream_(std::move(socket), tls), app_(app), buffer_(std::make_shared<Buffer>()) {}

asio::awaitable<void> Session::run() {
  error_code ignored;
  stream_.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
  if (!co_await stream_.handshake()) closing_ = true;
  while (!closing_) {
    HttpExchange exchange(*this);
    if (!co_await read_request(exchange)) break;
    co_await app_.handle(exchange);
    if (!exchange.keep_alive()) break;
    idle_ = true;
  }
  co_await stream_.shutdown();
}

// Reads on until the parser has the header, or all of the message; like Beast's own, which would
// bring Asio's templates along (server/connection.h).
template <typename Parser>
asio::awaitable<error_code> Session::read_into(Parser& parser, bool whole) {
  beast::flat_buffer& bytes = buffer_->bytes;
  parser.eager(whole);
  const auto done = [&] { return whole ? parser.is_done() : parser.is_header_done(); };
  error_code error;
  while (!done()) {
    if (bytes.size() > 0) {
      bytes.consume(parser.put(bytes.data(), error));
      if (error && error != http::error::need_more) co_return error;
      if (!error && (done() || bytes.size() > 0)) continue;
    }
    const Connection::Read read = co_await stream_.read_some(bytes.prepare(kReadBytes));
    if (read.error == asio::error::eof) {
      if (!parser.got_some()) co_return http::error::end_of_stream;
      parser.put_eof(error);
      if (error) co_return error;
    } else if (read.error) {
      co_return read.error;
    }
    bytes.commit(read.size);
  }
  co_return error_code();
}

asio::awaitable<bool> Session::read_request(HttpExchange& exchange) {
  const ServerConfig& config = app_.config();
  RequestParser parser;
  parser.header_limit(config.header_bytes);
  parser.body_limit(config.body_bytes);

  stream_.expires_after(config.idle_time);
  error_code error = co_await read_into(parser, false);
  idle_ = false;
  if (!error) {
    if (view(parser.get()[http::field::expect]) == "100-continue")
      co_await stream_.write("HTTP/1.1 100 Continue\r\n\r\n");
    stream_.expires_after(config.body_time);
    error = co_await read_into(parser, true);
    if (error == beast::error::timeout) co_await refuse(408, "the body did not come in time");
  }
  stream_.expires_never();
  if (!error) {
    std::string body = std::move(parser.get().body());
    exchange.set(parser.get(), std::move(body));
    co_return true;
  }
  if (error == http::error::header_limit)
    co_await refuse(431,
                    "the header has more than " + std::to_string(config.header_bytes) + " bytes");
  else if (error == http::error::body_limit)
    co_await refuse(413, "the body has more than " + std::to_string(config.body_bytes) + " bytes");
  else if (error.category() == http::make_error_code(http::error::bad_method).category() &&
           error != http::error::end_of_stream && error != http::error::partial_message)
    co_await refuse(400, "not HTTP: " + error.message());
  co_return false;
}

asio::awaitable<void> Session::refuse(int status, std::string message) {
  HttpExchange exchange(*this);
  closing_ = true;
  HttpReply reply{.status = status,
                  .body = dump(error_json({.status = status, .message = std::move(message)}))};
  ++app_.metrics().http[{"other", status}];
  const bool sent = co_await exchange.reply(std::move(reply));
  if (!sent) co_return;
  // A client that is still sending would lose the answer to a reset: read on for a moment.
  error_code ignored;
  stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  stream_.expires_after(std::chrono::seconds(2));
  std::array<char, 16384> sink;
  for (int reads = 0; reads < 4096; ++reads) {
    const Connection::Read read = co_await stream_.read_some(asio::buffer(sink));
    if (read.error) break;
  }
}

void Session::close_when_idle() {
  closing_ = true;
  if (idle_) close_now();
}

void Session::close_now() {
  closing_ = true;
  stream_.close();
}

}  // namespace millrace::server
