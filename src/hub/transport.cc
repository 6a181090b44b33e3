#include "hub/transport.h"

#include <curl/curl.h>

#include <array>

#include "base/check.h"
#include "hub/text.h"

namespace millrace::hub {
namespace {

constexpr int kMostRedirects = 10;
constexpr std::size_t kMostHeaderBytes = 64u << 10;
constexpr std::size_t kMostDroppedBytes = 1u << 20;  // of an error's body
constexpr long kBufferBytes = 256 << 10;

void init_curl_once() {
  static const CURLcode result = curl_global_init(CURL_GLOBAL_DEFAULT);
  check(result == CURLE_OK, "libcurl does not start");
}

// What the callbacks of one transfer share.
struct Transfer {
  CURL* curl = nullptr;
  BodySink* sink = nullptr;
  const Stop* stop = nullptr;
  bool from_hub = false;  // not from a host that the hub redirects to
  HttpResponse response;
  std::size_t header_bytes = 0;
  std::size_t dropped_bytes = 0;
  bool begun = false;
  std::optional<Error> sink_error;

  // Of the time since window_start, in which window_bytes had come before.
  const HubOptions* options = nullptr;
  std::chrono::steady_clock::time_point window_start = std::chrono::steady_clock::now();
  std::uint64_t window_bytes = 0;
  bool stalled = false;

  // Whether the last stall_timeout brought too little. Not curl's own low speed limit: that
  // averages over some seconds more.
  bool stalls(std::uint64_t bytes) {
    const auto now = std::chrono::steady_clock::now();
    const std::chrono::duration<double> window = now - window_start;
    if (window < options->stall_timeout) return false;
    const double enough = static_cast<double>(options->stall_bytes_per_second) * window.count();
    stalled = static_cast<double>(bytes - window_bytes) < enough;
    window_start = now;
    window_bytes = bytes;
    return stalled;
  }

  // What a sink throws (no memory) must not cross curl's C code.
  template <typename Call>
  bool guarded(const Call& call) {
    Status status;
    try {
      status = call();
    } catch (const std::exception& e) {
      status = fail(ErrorCode::TooLarge, "{}", e.what());
    }
    if (!status) sink_error = status.error();
    return status.has_value();
  }

  Status headers_complete() {
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &response.status);
    if (from_hub) {
      const auto keep = [&](std::string& into, const char* name) {
        if (const std::string* value = response.header(name); value != nullptr && into.empty())
          into = *value;
      };
      keep(response.linked_etag, "x-linked-etag");
      keep(response.linked_size, "x-linked-size");
      keep(response.repo_commit, "x-repo-commit");
    }
    if (!response.ok() || begun || sink == nullptr) return {};
    begun = true;
    return sink->begin(response);
  }

  Status add_header(std::string_view line) {
    header_bytes += line.size();
    if (header_bytes > kMostHeaderBytes)
      return fail(ErrorCode::Corrupt, "more than {} bytes of headers", kMostHeaderBytes);
    if (line.starts_with("HTTP/") && !begun) {
      response.headers.clear();  // the answer after a 1xx one
      return {};
    }
    line = trim(line);
    if (line.empty()) return headers_complete();
    const auto colon = line.find(':');
    if (colon != line.npos && !begun)
      response.headers[lower(line.substr(0, colon))] = trim(line.substr(colon + 1));
    return {};
  }

  Status add_body(std::string_view bytes) {
    if (begun) return sink->write(bytes);
    dropped_bytes += bytes.size();
    if (dropped_bytes > kMostDroppedBytes)
      return fail(ErrorCode::Corrupt, "an error page of more than {} bytes", kMostDroppedBytes);
    return {};
  }
};

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::size_t bytes = size * count;
  return transfer.guarded([&] { return transfer.add_header({data, bytes}); }) ? bytes : 0;
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::size_t bytes = size * count;
  return transfer.guarded([&] { return transfer.add_body({data, bytes}); }) ? bytes : 0;
}

// About once a second while nothing comes.
int on_progress(void* user, curl_off_t, curl_off_t received, curl_off_t, curl_off_t) {
  auto& transfer = *static_cast<Transfer*>(user);
  return transfer.stop->raised() || transfer.stalls(static_cast<std::uint64_t>(received)) ? 1 : 0;
}

// URLs of storage hosts carry signatures: messages name the host alone.
std::string host_of(const std::string& url) {
  const auto origin = origin_of(url);
  return origin ? *origin : "the hub";
}

Failure failure_of(CURLcode code, const Transfer& transfer, const std::string& url,
                   const char* detail) {
  if (transfer.stop->raised()) return {{ErrorCode::Cancelled, "stopped"}};
  if (transfer.sink_error) return {*transfer.sink_error};
  if (transfer.stalled)
    return {{ErrorCode::Unavailable, fmt::format("{}: nothing came for {} ms", host_of(url),
                                                 transfer.options->stall_timeout.count())},
            true};
  const std::string reason = printable(*detail != '\0' ? detail : curl_easy_strerror(code));
  const Error error{ErrorCode::Unavailable, fmt::format("{}: {}", host_of(url), reason)};
  switch (code) {
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
      return {{ErrorCode::InvalidArgument, error.message}};
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
      return {error};
    default:
      return {error, true};
  }
}

std::string part_of(CURLU* url, CURLUPart part, unsigned flags) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return {};
  std::string out = text;
  curl_free(text);
  return out;
}

}  // namespace

struct Connection::Handle {
  CURL* curl = curl_easy_init();
  ~Handle() { curl_easy_cleanup(curl); }
};

const std::string* HttpResponse::header(const std::string& lower_name) const {
  const auto found = headers.find(lower_name);
  return found == headers.end() ? nullptr : &found->second;
}

Status TextSink::begin(const HttpResponse&) {
  text_.clear();
  return {};
}

Status TextSink::write(std::string_view bytes) {
  if (bytes.size() > limit_ - text_.size())
    return fail(ErrorCode::TooLarge, "an answer of more than {} bytes", limit_);
  text_ += bytes;
  return {};
}

std::optional<std::string> origin_of(const std::string& url) {
  init_curl_once();
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed(curl_url(), &curl_url_cleanup);
  if (curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) return std::nullopt;
  const std::string scheme = lower(part_of(parsed.get(), CURLUPART_SCHEME, 0));
  if (scheme != "http" && scheme != "https") return std::nullopt;
  return scheme + "://" + lower(part_of(parsed.get(), CURLUPART_HOST, 0)) + ":" +
         part_of(parsed.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
}

Connection::Connection(const HubOptions& options, const Stop& stop)
    : options_(options), stop_(stop), endpoint_origin_(origin_of(options.endpoint).value_or("")) {
  init_curl_once();
  handle_ = std::make_unique<Handle>();
  check(handle_->curl != nullptr, "libcurl gives no handle");
}

Connection::~Connection() = default;

Attempt<HttpResponse> Connection::send_once(const HttpRequest& request, BodySink* sink,
                                            const HttpResponse& previous, std::string& redirect) {
  if (stop_.raised()) return tl::unexpected(Failure{{ErrorCode::Cancelled, "stopped"}});
  CURL* curl = handle_->curl;
  curl_easy_reset(curl);  // keeps open connections
  const bool to_hub = origin_of(request.url) == endpoint_origin_;
  Transfer transfer{
      .curl = curl, .sink = sink, .stop = &stop_, .from_hub = to_hub, .options = &options_};
  transfer.response.linked_etag = previous.linked_etag;
  transfer.response.linked_size = previous.linked_size;
  transfer.response.repo_commit = previous.repo_commit;
  std::array<char, CURL_ERROR_SIZE> detail{};

  curl_easy_setopt(curl, CURLOPT_URL, request.url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);  // send() follows, and decides on the token
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
  curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
  curl_easy_setopt(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "millrace/0.1");
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, detail.data());
  curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, kBufferBytes);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(options_.connect_timeout.count()));
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &on_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  if (request.head) curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);

  // Sizes and digests are of the file as it is, never of a compressed transfer.
  std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(
      curl_slist_append(nullptr, "Accept-Encoding: identity"), &curl_slist_free_all);
  const auto add_header = [&](const std::string& line) {
    curl_slist* longer = curl_slist_append(headers.get(), line.c_str());
    check(longer != nullptr, "no memory for a header");
    static_cast<void>(headers.release());
    headers.reset(longer);
  };
  // The header is set by hand and not through CURLOPT_RANGE, which would make curl itself judge
  // the answer: a server that ignores ranges is recognised by the sink.
  if (request.range)
    add_header(fmt::format("Range: bytes={}-{}", request.range->begin, request.range->end - 1));
  if (!options_.token.empty() && to_hub) add_header("Authorization: Bearer " + options_.token);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_HEADEROPT, static_cast<long>(CURLHEADER_SEPARATE));

  const CURLcode code = curl_easy_perform(curl);
  if (code != CURLE_OK)
    return tl::unexpected(failure_of(code, transfer, request.url, detail.data()));
  HttpResponse& response = transfer.response;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &response.status);
  response.url = request.url;
  curl_off_t wait = 0;
  if (curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait) == CURLE_OK && wait > 0)
    response.retry_after = std::chrono::seconds(wait);
  char* next = nullptr;
  if (curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &next) == CURLE_OK && next != nullptr)
    redirect = next;
  return std::move(response);
}

Attempt<HttpResponse> Connection::send(const HttpRequest& request, BodySink* sink) {
  HttpRequest hop = request;
  HttpResponse previous;
  for (int redirects = 0; redirects <= kMostRedirects; ++redirects) {
    std::string redirect;
    auto response = send_once(hop, sink, previous, redirect);
    if (!response) return response;
    if (response->status < 300 || response->status >= 400 || redirect.empty()) return response;

    const auto origin = origin_of(hop.url);
    const auto target = origin_of(redirect);
    if (!target || (origin->starts_with("https:") && target->starts_with("http:")))
      return tl::unexpected(
          Failure{{ErrorCode::Unavailable,
                   fmt::format("{}: redirects to {}, expected an https address", *origin,
                               target ? *target : "something that is no address")}});
    if (request.head && target != origin) return response;
    hop.url = redirect;
    previous = std::move(*response);
  }
  return tl::unexpected(
      Failure{{ErrorCode::Unavailable,
               fmt::format("{}: more than {} redirects", host_of(request.url), kMostRedirects)}});
}

}  // namespace millrace::hub
