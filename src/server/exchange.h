// One HTTP request and the way to answer it, as handlers see it: without a word of Beast.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace millrace::server {

struct HttpRequest {
  std::string method;
  std::string path;  // without the query
  std::string body;
  std::string id;  // of the client, or made here
  std::string authorization, x_api_key, origin;
};

// What is worth a line in the log when a request has been answered; the sums over its answers.
struct RequestFacts {
  bool stream = false;
  std::int64_t prompt_tokens = -1;  // -1: nothing was generated
  std::int64_t cached_tokens = 0;
  std::int64_t completion_tokens = 0;
  double first_token_seconds = 0;  // of the first answer
  std::string finish_reason;       // of the last
};

struct HttpReply {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers = {};
};

class Exchange {
 public:
  virtual ~Exchange() = default;

  const HttpRequest& request() const { return request_; }
  RequestFacts& facts() { return facts_; }
  // Goes into every reply's header.
  void add_header(std::string name, std::string value) {
    headers_.emplace_back(std::move(name), std::move(value));
  }

  // Exactly one of reply() and begin_stream() is called. Whatever cannot be sent because the
  // client is gone returns false, and nothing more need be sent.
  virtual boost::asio::awaitable<bool> reply(HttpReply reply) = 0;
  virtual boost::asio::awaitable<bool> begin_stream(std::string content_type) = 0;
  virtual boost::asio::awaitable<bool> write(std::string text) = 0;
  virtual boost::asio::awaitable<bool> end_stream() = 0;

  // Calls `gone` at most once, when the client closes the connection before it has been answered.
  virtual void watch(std::function<void()> gone) = 0;

 protected:
  HttpRequest request_;
  RequestFacts facts_;
  std::vector<std::pair<std::string, std::string>> headers_;
};

}  // namespace millrace::server
