// An HTTP/1.1 server on 127.0.0.1 for tests: one thread per connection, answers by a function.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace millrace::hub::test {

struct Request {
  std::string method;
  std::string target;                          // path and query as sent
  std::map<std::string, std::string> headers;  // names in lower case

  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
};

struct Reply {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  // Faults. A Content-Length header given above replaces the true one.
  std::size_t drop_after = std::string::npos;   // body bytes before the connection is closed
  std::size_t stall_after = std::string::npos;  // body bytes before the server falls silent
  bool chunked = false;                         // no Content-Length
  std::function<void()> before_body;            // called after the headers are sent
};

class HttpServer {
 public:
  using Handler = std::function<Reply(const Request&)>;

  // The handler is called from several threads.
  explicit HttpServer(Handler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::vector<Request> requests() const;
  std::size_t body_bytes_sent() const { return body_bytes_sent_; }
  void forget();

 private:
  void accept_loop();
  void serve(int fd);
  bool send_reply(int fd, const Request& request, const Reply& reply);

  Handler handler_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::size_t> body_bytes_sent_ = 0;
  mutable std::mutex mutex_;
  std::vector<Request> requests_;
  std::vector<int> open_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace millrace::hub::test
