// A client's connection: bytes as they are, or inside TLS. Beast reads and writes it like a stream
// of its own.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/error.h"

namespace millrace::server {

using TlsContext = boost::asio::ssl::context;

// TLS 1.2 and later with a certificate's chain and its key, both in PEM.
Result<std::unique_ptr<TlsContext>> make_tls_context(const std::string& certificate_file,
                                                     const std::string& key_file);

class Connection {
 public:
  using executor_type = boost::beast::tcp_stream::executor_type;

  // Without a context there is no TLS.
  Connection(boost::asio::ip::tcp::socket socket, TlsContext* context);

  executor_type get_executor() { return tcp_.get_executor(); }
  boost::asio::ip::tcp::socket& socket() { return tcp_.socket(); }
  bool is_tls() const { return tls_.has_value(); }
  void expires_after(std::chrono::milliseconds time) { tcp_.expires_after(time); }
  void expires_never() { tcp_.expires_never(); }
  void close() { tcp_.close(); }

  // At the beginning; false if the client does not speak TLS.
  boost::asio::awaitable<bool> handshake();
  // Says goodbye, as TLS wants it.
  boost::asio::awaitable<void> shutdown();

  // What waits to be read, if anything: more from a client that is there, or its goodbye?
  enum class Waiting { Nothing, Bytes, End };
  Waiting look();

  template <typename Buffers, typename Token>
  auto async_read_some(const Buffers& buffers, Token&& token) {
    if (tls_) return tls_->async_read_some(buffers, std::forward<Token>(token));
    return tcp_.async_read_some(buffers, std::forward<Token>(token));
  }
  template <typename Buffers, typename Token>
  auto async_write_some(const Buffers& buffers, Token&& token) {
    if (tls_) return tls_->async_write_some(buffers, std::forward<Token>(token));
    return tcp_.async_write_some(buffers, std::forward<Token>(token));
  }

 private:
  boost::beast::tcp_stream tcp_;
  std::optional<boost::asio::ssl::stream<boost::beast::tcp_stream&>> tls_;
};

}  // namespace millrace::server
