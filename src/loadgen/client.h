// HTTP to one server: requests whose answers come whole or as events, over connections that are
// kept and used again. A client belongs to one coroutine at a time.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/error.h"
#include "loadgen/url.h"

namespace millrace::loadgen {

struct ClientOptions {
  Url url;
  std::string api_key;                    // sent as a bearer token, where there is one
  std::chrono::seconds silence{600};      // longest wait for the next byte
  std::uint64_t most_bytes = 256u << 20;  // of an answer that comes whole
};

struct HttpAnswer {
  int status = 0;
  std::string body;  // of an answer that came whole: streams are handed over piece by piece
};

class Client {
 public:
  Client(boost::asio::any_io_executor executor, ClientOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  boost::asio::awaitable<Result<HttpAnswer>> get(std::string path);
  // Bytes of a 200 answer that is an event stream go to `take` as they come; it returns false to
  // give up. Any other answer comes whole.
  boost::asio::awaitable<Result<HttpAnswer>> post(std::string path, std::string body,
                                                  std::function<bool(std::string_view)> take);

  void disconnect();

 private:
  class Connection;
  struct Call;
  boost::asio::awaitable<Result<HttpAnswer>> call(Call& call);

  boost::asio::any_io_executor executor_;
  ClientOptions options_;
  std::unique_ptr<Connection> connection_;
};

}  // namespace millrace::loadgen
