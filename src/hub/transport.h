// HTTP for one thread: a curl handle that follows redirects without giving the token away.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "hub/byte_ranges.h"
#include "hub/options.h"
#include "hub/stop.h"

namespace millrace::hub {

// A request that gave no answer, or not the one it should.
struct Failure {
  Error error;
  bool transient = false;  // worth another try
  std::optional<std::chrono::seconds> retry_after;
};

template <typename T>
using Attempt = tl::expected<T, Failure>;

struct HttpRequest {
  std::string url;
  bool head = false;               // a HEAD request, which stays on the host it was sent to
  std::optional<ByteRange> range;  // not empty
};

struct HttpResponse {
  long status = 0;
  std::string url;                             // after redirects
  std::map<std::string, std::string> headers;  // of the last answer; names in lower case
  // What the hub itself said of a file on the way, before it redirected; empty: nothing.
  std::string linked_etag;
  std::string linked_size;
  std::string repo_commit;

  bool ok() const { return status >= 200 && status < 300; }
  const std::string* header(const std::string& lower_name) const;
  // Retry-After in seconds; a date counts from now.
  std::optional<std::chrono::seconds> retry_after;
};

// Takes the body of a 2xx answer; other bodies are dropped. An error ends the transfer for good.
class BodySink {
 public:
  virtual ~BodySink() = default;
  virtual Status begin(const HttpResponse& response) = 0;
  virtual Status write(std::string_view bytes) = 0;
};

// Up to `limit` bytes in memory.
class TextSink : public BodySink {
 public:
  explicit TextSink(std::size_t limit) : limit_(limit) {}
  Status begin(const HttpResponse&) override;
  Status write(std::string_view bytes) override;
  const std::string& text() const { return text_; }

 private:
  std::size_t limit_;
  std::string text_;
};

// Scheme, host and port, the pair that decides whether the token goes along. nullopt: no http(s)
// URL.
std::optional<std::string> origin_of(const std::string& url);

// Keeps its connections open between requests. Not thread-safe: one for each thread.
class Connection {
 public:
  // `options` and `stop` must outlive it.
  Connection(const HubOptions& options, const Stop& stop);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Follows up to ten redirects. Any status is an answer, not a failure. The token is sent to the
  // endpoint's origin alone; a redirect from https to http is refused. `sink` may be null.
  Attempt<HttpResponse> send(const HttpRequest& request, BodySink* sink);

 private:
  struct Handle;
  Attempt<HttpResponse> send_once(const HttpRequest& request, BodySink* sink,
                                  const HttpResponse& previous, std::string& redirect);

  const HubOptions& options_;
  const Stop& stop_;
  std::string endpoint_origin_;
  std::unique_ptr<Handle> handle_;
};

}  // namespace millrace::hub
