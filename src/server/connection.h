// A client's connection: bytes as they are, or inside TLS. Its reads and writes are coroutines of
// their own, so that Asio's templates of them are compiled here alone: under those of HTTP they
// took minutes.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace millrace::server {

using TlsContext = boost::asio::ssl::context;

// TLS 1.2 and later with a certificate's chain and its key, both in PEM.
Result<std::unique_ptr<TlsContext>> make_tls_context(const std::string& certificate_file,
                                                     const std::string& key_file);

class Connection {
 public:
  // Without a context there is no TLS.
  Connection(boost::asio::ip::tcp::socket socket, TlsContext* context);

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

  // Some bytes, at least one where there is no error.
  struct Read {
    boost::system::error_code error;
    std::size_t size;
  };
  boost::asio::awaitable<Read> read_some(boost::asio::mutable_buffer to);
  // All of them, which have to live until then.
  boost::asio::awaitable<boost::system::error_code> write(std::string_view bytes);

 private:
  boost::beast::tcp_stream tcp_;
  std::optional<boost::asio::ssl::stream<boost::beast::tcp_stream&>> tls_;
};

}  // namespace millrace::server
