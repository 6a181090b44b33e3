#include "tests/unit/hub/http_server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <stdexcept>

#include "hub/text.h"

namespace millrace::hub::test {
namespace {

constexpr std::size_t kWriteBytes = 16 << 10;

bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::optional<Request> read_request(int fd, std::string& buffer) {
  std::size_t end;
  while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
    char chunk[4096];
    const ssize_t got = ::recv(fd, chunk, sizeof chunk, 0);
    if (got <= 0) return std::nullopt;
    buffer.append(chunk, static_cast<std::size_t>(got));
  }
  Request request;
  std::string_view head = std::string_view(buffer).substr(0, end);
  const auto first_space = head.find(' ');
  const auto second_space = head.find(' ', first_space + 1);
  request.method = head.substr(0, first_space);
  request.target = head.substr(first_space + 1, second_space - first_space - 1);
  for (auto at = head.find("\r\n"); at != head.npos; at = head.find("\r\n", at + 2)) {
    const std::string_view line = head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
    const auto colon = line.find(':');
    if (colon != line.npos)
      request.headers[lower(line.substr(0, colon))] = trim(line.substr(colon + 1));
  }
  buffer.erase(0, end + 4);
  return request;
}

}  // namespace

HttpServer::HttpServer(Handler handler) : handler_(std::move(handler)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_, generic, length) != 0 || ::listen(listener_, 64) != 0 ||
      ::getsockname(listener_, generic, &length) != 0)
    throw std::runtime_error("the test server cannot listen");
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_loop(); });
}

HttpServer::~HttpServer() {
  stopping_ = true;
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  {
    const std::lock_guard lock(mutex_);
    for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
  ::close(listener_);
}

std::vector<Request> HttpServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void HttpServer::forget() {
  const std::lock_guard lock(mutex_);
  requests_.clear();
  body_bytes_sent_ = 0;
}

void HttpServer::accept_loop() {
  while (!stopping_) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    const int at_once = 1;  // or every small reply waits 40 ms for an acknowledgement
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
    const std::lock_guard lock(mutex_);
    open_.push_back(fd);
    threads_.emplace_back([this, fd] {
      serve(fd);
      const std::lock_guard closing(mutex_);
      open_.erase(std::find(open_.begin(), open_.end(), fd));
      ::close(fd);
    });
  }
}

void HttpServer::serve(int fd) {
  std::string buffer;
  while (const auto request = read_request(fd, buffer)) {
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(*request);
    }
    if (!send_reply(fd, *request, handler_(*request))) return;
  }
}

// False when the connection must close.
bool HttpServer::send_reply(int fd, const Request& request, const Reply& reply) {
  std::string head = "HTTP/1.1 " + std::to_string(reply.status) + " -\r\n";
  bool has_length = reply.chunked;
  for (const auto& [name, value] : reply.headers) {
    head += name + ": " + value + "\r\n";
    has_length |= lower(name) == "content-length";
  }
  if (reply.chunked) head += "Transfer-Encoding: chunked\r\n";
  if (!has_length) head += "Content-Length: " + std::to_string(reply.body.size()) + "\r\n";
  if (!send_all(fd, head + "\r\n")) return false;
  if (reply.before_body) reply.before_body();
  if (request.method == "HEAD") return true;
  std::string_view body = reply.body;
  const std::size_t stop_at = std::min({reply.drop_after, reply.stall_after, body.size()});
  for (std::size_t at = 0; at < stop_at;) {
    const std::string_view part = body.substr(at, std::min(kWriteBytes, stop_at - at));
    std::string framed;
    if (reply.chunked) {
      char size[32];
      std::snprintf(size, sizeof size, "%zx\r\n", part.size());
      framed = size + std::string(part) + "\r\n";
    }
    if (!send_all(fd, reply.chunked ? std::string_view(framed) : part)) return false;
    at += part.size();
    body_bytes_sent_ += part.size();
  }
  if (reply.stall_after <= body.size()) {
    // Silent until the client hangs up or the server ends.
    char ignored;
    while (!stopping_ && ::recv(fd, &ignored, 1, 0) > 0) {
    }
    return false;
  }
  if (reply.drop_after <= body.size()) return false;
  return !reply.chunked || send_all(fd, "0\r\n\r\n");
}

}  // namespace millrace::hub::test
