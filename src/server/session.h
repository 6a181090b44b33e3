// One connection: reads requests, lets the app answer them, keeps time and size limits.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <unordered_set>

#include "server/app.h"
#include "server/connection.h"

namespace millrace::server {

class Session {
 public:
  // Without a context the connection is no TLS.
  Session(boost::asio::ip::tcp::socket socket, TlsContext* tls, App& app);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Until the client or a limit ends the connection.
  boost::asio::awaitable<void> run();

  // Ends the connection: now if it is idle, else behind the answer.
  void close_when_idle();
  void close_now();

 private:
  class HttpExchange;

  template <typename Parser>
  boost::asio::awaitable<boost::system::error_code> read_into(Parser& parser, bool whole);
  // Reads one request into the exchange; false ends the connection.
  boost::asio::awaitable<bool> read_request(HttpExchange& exchange);
  boost::asio::awaitable<void> refuse(int status, std::string message);

  Connection stream_;
  App& app_;
  bool idle_ = true;
  bool closing_ = false;

  struct Buffer;  // bytes read ahead
  std::shared_ptr<Buffer> buffer_;
};

}  // namespace millrace::server
