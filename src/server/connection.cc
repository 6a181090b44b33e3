#include "server/connection.h"

#include <sys/socket.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace millrace::server {
namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::seconds kHandshakeTime{10};
constexpr std::chrono::seconds kShutdownTime{2};

// A record of TLS that holds an alert, which at this place is the goodbye: by its type, or in TLS
// 1.3, where types are hidden, by a length (2 bytes, a type and a tag) that no request has.
bool is_goodbye(const std::array<unsigned char, 5>& header) {
  constexpr unsigned char kAlert = 21, kData = 23;
  const int length = header[3] << 8 | header[4];
  return header[0] == kAlert || (header[0] == kData && length <= 2 + 1 + 16);
}

}  // namespace

Result<std::unique_ptr<TlsContext>> make_tls_context(const std::string& certificate_file,
                                                     const std::string& key_file) {
  auto context = std::make_unique<TlsContext>(TlsContext::tls_server);
  error_code error;
  context->set_options(TlsContext::default_workarounds | TlsContext::no_sslv2 |
                           TlsContext::no_sslv3 | TlsContext::no_tlsv1 | TlsContext::no_tlsv1_1 |
                           TlsContext::single_dh_use,
                       error);
  if (!error) context->use_certificate_chain_file(certificate_file, error);
  if (error)
    return fail(ErrorCode::InvalidArgument, "--ssl-certfile {}: {}", certificate_file,
                error.message());
  context->use_private_key_file(key_file, TlsContext::pem, error);
  if (error)
    return fail(ErrorCode::InvalidArgument, "--ssl-keyfile {}: {}", key_file, error.message());
  if (SSL_CTX_check_private_key(context->native_handle()) != 1)
    return fail(ErrorCode::InvalidArgument, "--ssl-keyfile {}: is not the key of {}", key_file,
                certificate_file);
  return context;
}

Connection::Connection(asio::ip::tcp::socket socket, TlsContext* context)
    : tcp_(std::move(socket)) {
  if (context) tls_.emplace(tcp_, *context);
}

asio::awaitable<bool> Connection::handshake() {
  if (!tls_) co_return true;
  tcp_.expires_after(kHandshakeTime);
  const auto [error] = co_await tls_->async_handshake(asio::ssl::stream_base::server, kAwait);
  tcp_.expires_never();
  co_return !error;
}

asio::awaitable<void> Connection::shutdown() {
  error_code ignored;
  if (tls_) {
    tcp_.expires_after(kShutdownTime);
    (void)co_await tls_->async_shutdown(kAwait);
  }
  tcp_.socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  tcp_.close();
}

asio::awaitable<Connection::Read> Connection::read_some(asio::mutable_buffer to) {
  // Two whole statements: GCC 12 loses an awaitable inside of a conditional expression.
  Read read;
  if (tls_)
    std::tie(read.error, read.size) = co_await tls_->async_read_some(to, kAwait);
  else
    std::tie(read.error, read.size) = co_await tcp_.async_read_some(to, kAwait);
  co_return read;
}

asio::awaitable<error_code> Connection::write(std::string_view bytes) {
  error_code error;
  if (tls_)
    std::tie(error, std::ignore) = co_await asio::async_write(*tls_, asio::buffer(bytes), kAwait);
  else
    std::tie(error, std::ignore) = co_await asio::async_write(tcp_, asio::buffer(bytes), kAwait);
  co_return error;
}

Connection::Waiting Connection::look() {
  std::array<unsigned char, 5> bytes{};
  const auto got =
      ::recv(tcp_.socket().native_handle(), bytes.data(), bytes.size(), MSG_PEEK | MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return Waiting::Nothing;
  if (got <= 0 || (tls_ && got == std::ssize(bytes) && is_goodbye(bytes))) return Waiting::End;
  return Waiting::Bytes;
}

}  // namespace millrace::server
