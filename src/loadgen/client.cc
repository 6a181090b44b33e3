#include "loadgen/client.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <variant>

namespace millrace::loadgen {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

using Plain = beast::tcp_stream;
using Secure = beast::ssl_stream<beast::tcp_stream>;

// Certificates are checked against the system's.
asio::ssl::context& tls_context() {
  static asio::ssl::context context = [] {
    asio::ssl::context made(asio::ssl::context::tls_client);
    made.set_default_verify_paths();
    made.set_verify_mode(asio::ssl::verify_peer);
    return made;
  }();
  return context;
}

}  // namespace

struct Client::Call {
  http::request<http::string_body> request;
  std::function<bool(std::string_view)> take;
};

class Client::Connection {
 public:
  Connection(asio::any_io_executor executor, const ClientOptions& options) : options_(options) {
    if (options.url.tls)
      stream_.emplace<Secure>(executor, tls_context());
    else
      stream_.emplace<Plain>(executor);
  }

  asio::awaitable<Result<void>> open() {
    const auto failed = [&](std::string_view doing, const error_code& error) {
      return fail(ErrorCode::Unavailable, "{}: {}: {}", options_.url.text(), doing,
                  error.message());
    };
    tcp::resolver resolver(lowest().get_executor());
    const auto [not_found, addresses] =
        co_await resolver.async_resolve(options_.url.host, options_.url.port, kAwait);
    if (not_found) co_return failed("finding its address", not_found);
    lowest().expires_after(std::chrono::seconds(30));
    const auto [refused, where] = co_await lowest().async_connect(addresses, kAwait);
    (void)where;
    if (refused) co_return failed("connecting", refused);
    error_code ignored;
    lowest().socket().set_option(tcp::no_delay(true), ignored);
    if (auto* secure = std::get_if<Secure>(&stream_)) {
      // SSL_set_tlsext_host_name, whose macro casts as C does.
      SSL_ctrl(secure->native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
               const_cast<char*>(options_.url.host.c_str()));
      secure->set_verify_callback(asio::ssl::host_name_verification(options_.url.host));
      const auto [untrusted] =
          co_await secure->async_handshake(asio::ssl::stream_base::client, kAwait);
      if (untrusted) co_return failed("TLS", untrusted);
    }
    co_return Result<void>();
  }

  asio::awaitable<Result<HttpAnswer>> exchange(Call& call) {
    if (auto* secure = std::get_if<Secure>(&stream_)) co_return co_await exchange_on(*secure, call);
    co_return co_await exchange_on(std::get<Plain>(stream_), call);
  }

  bool reusable() const { return reusable_; }
  // Whether a byte of the last answer came: if not, an old connection may just have been stale.
  bool heard() const { return heard_; }

 private:
  template <typename Stream>
  asio::awaitable<Result<HttpAnswer>> exchange_on(Stream& stream, Call& call) {
    reusable_ = heard_ = false;
    const auto failed = [&](const error_code& error) {
      return fail(ErrorCode::Unavailable, "{}",
                  error == http::error::end_of_stream || error == http::error::partial_message
                      ? "the connection was closed before the answer's end"
                      : error.message());
    };
    lowest().expires_after(options_.silence);
    error_code error;
    std::tie(error, std::ignore) = co_await http::async_write(stream, call.request, kAwait);
    if (error) co_return failed(error);
    http::response_parser<http::string_body> parser;
    parser.body_limit(boost::none);
    std::tie(error, std::ignore) =
        co_await http::async_read_header(stream, buffer_, parser, kAwait);
    if (error) co_return failed(error);
    heard_ = true;
    HttpAnswer answer{.status = static_cast<int>(parser.get().result_int()), .body = {}};
    const bool streams = call.take && answer.status == 200 &&
                         parser.get()[http::field::content_type].starts_with("text/event-stream");
    std::string& body = parser.get().body();
    while (!parser.is_done()) {
      lowest().expires_after(options_.silence);
      std::tie(error, std::ignore) =
          co_await http::async_read_some(stream, buffer_, parser, kAwait);
      if (error) co_return failed(error);
      if (streams) {
        const bool go_on = body.empty() || call.take(body);
        body.clear();
        if (!go_on) co_return answer;
      } else if (body.size() > options_.most_bytes) {
        co_return fail(ErrorCode::TooLarge, "an answer of more than {} bytes", options_.most_bytes);
      }
    }
    lowest().expires_never();
    if (streams && !body.empty()) call.take(body);
    if (!streams) answer.body = std::move(body);
    reusable_ = parser.get().keep_alive();
    co_return answer;
  }

  Plain& lowest() {
    if (auto* secure = std::get_if<Secure>(&stream_)) return beast::get_lowest_layer(*secure);
    return std::get<Plain>(stream_);
  }

  const ClientOptions& options_;
  std::variant<std::monostate, Plain, Secure> stream_;
  beast::flat_buffer buffer_;
  bool reusable_ = false;
  bool heard_ = false;
};

Client::Client(asio::any_io_executor executor, ClientOptions options)
    : executor_(std::move(executor)), options_(std::move(options)) {}

Client::~Client() = default;

void Client::disconnect() {
  connection_.reset();
}

asio::awaitable<Result<HttpAnswer>> Client::get(std::string path) {
  Call one{.request = {http::verb::get, options_.url.path + path, 11}, .take = {}};
  co_return co_await call(one);
}

asio::awaitable<Result<HttpAnswer>> Client::post(std::string path, std::string body,
                                                 std::function<bool(std::string_view)> take) {
  Call one{.request = {http::verb::post, options_.url.path + path, 11}, .take = std::move(take)};
  one.request.set(http::field::content_type, "application/json");
  one.request.body() = std::move(body);
  co_return co_await call(one);
}

asio::awaitable<Result<HttpAnswer>> Client::call(Call& call) {
  call.request.set(http::field::host, options_.url.authority());
  call.request.set(http::field::user_agent, "millrace-bench");
  if (!options_.api_key.empty())
    call.request.set(http::field::authorization, "Bearer " + options_.api_key);
  call.request.prepare_payload();
  while (true) {
    const bool old = connection_ != nullptr;
    if (!old) {
      connection_ = std::make_unique<Connection>(executor_, options_);
      if (Result<void> opened = co_await connection_->open(); !opened) {
        connection_.reset();
        co_return tl::unexpected(opened.error());
      }
    }
    Result<HttpAnswer> answer = co_await connection_->exchange(call);
    const bool stale = !answer && old && !connection_->heard();
    if (!connection_->reusable()) connection_.reset();
    if (!stale) co_return answer;
  }
}

}  // namespace millrace::loadgen
