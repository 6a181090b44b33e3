#include "hub/retry.h"

#include <algorithm>
#include <thread>

namespace millrace::hub {
namespace {

using std::chrono::milliseconds;

constexpr int kMostAttempts = 2000;
constexpr milliseconds kStopPoll{50};

}  // namespace

Backoff::Backoff(const RetryPolicy& policy) : policy_(policy), random_(std::random_device{}()) {}

Status Backoff::wait(const Failure& failure, const Stop& stop) {
  const Error& error = failure.error;
  if (!failure.transient) return tl::unexpected(error);
  ++in_all_;
  if (++in_a_row_ >= policy_.attempts || in_all_ >= kMostAttempts)
    return fail(error.code, "{} ({} attempts)", error.message, in_all_);
  milliseconds delay;
  if (failure.retry_after) {
    if (*failure.retry_after > policy_.longest_retry_after)
      return fail(error.code, "{}; the server asks to wait {} s", error.message,
                  failure.retry_after->count());
    delay = *failure.retry_after;
  } else {
    const auto doubled = policy_.first_delay.count() << std::min(in_a_row_ - 1, 20);
    const auto longest = std::min<milliseconds::rep>(doubled, policy_.longest_delay.count());
    delay = milliseconds(
        std::uniform_int_distribution<milliseconds::rep>(longest / 2, longest)(random_));
  }
  const auto until = std::chrono::steady_clock::now() + delay;
  for (;;) {
    if (stop.raised()) return fail(ErrorCode::Cancelled, "stopped");
    const auto now = std::chrono::steady_clock::now();
    if (now >= until) return {};
    std::this_thread::sleep_for(
        std::min<std::chrono::steady_clock::duration>(until - now, kStopPoll));
  }
}

Failure status_failure(const HttpResponse& response, const HubOptions& options,
                       const std::string& repo, const std::string& what) {
  const std::string host = origin_of(response.url).value_or("the hub");
  const bool from_hub = host == origin_of(options.endpoint);
  const std::string* code = response.header("x-error-code");
  const auto is = [&](const char* name) { return code != nullptr && *code == name; };
  const auto failed = [&](ErrorCode kind, std::string why) {
    return Failure{{kind, fmt::format("{}: {}", what, why)}};
  };
  if (response.status == 429 || response.status == 408 || response.status >= 500) {
    Failure failure = failed(
        ErrorCode::Unavailable,
        response.status == 429
            ? fmt::format("{} limits the rate of requests (HTTP 429){}", host,
                          options.token.empty() ? "; a token in HF_TOKEN raises the limit" : "")
            : fmt::format("{} answered HTTP {}", host, response.status));
    failure.transient = true;
    failure.retry_after = response.retry_after;
    return failure;
  }
  if (from_hub && (response.status == 401 || response.status == 403)) {
    const std::string page = fmt::format("{}/{}", options.endpoint, repo);
    if (is("GatedRepo") || response.status == 403)
      return failed(
          ErrorCode::NotFound,
          options.token.empty()
              ? fmt::format("access is restricted (HTTP {}): accept the terms at {} and "
                            "give a token by HF_TOKEN or the file HF_TOKEN_PATH names",
                            response.status, page)
              : fmt::format("access is restricted (HTTP {}): the token given may not read "
                            "it; accept the terms at {} with the account of the token",
                            response.status, page));
    return failed(
        ErrorCode::NotFound,
        options.token.empty()
            ? fmt::format("no such repository, or one that needs a token (HTTP 401): give "
                          "it by HF_TOKEN or the file HF_TOKEN_PATH names; its page is {}",
                          page)
            : "no such repository, or the token given is not valid (HTTP 401)");
  }
  if (from_hub && response.status == 404)
    return failed(ErrorCode::NotFound, is("RevisionNotFound") ? "no such revision (HTTP 404)"
                                       : is("EntryNotFound")  ? "no such file (HTTP 404)"
                                       : is("RepoNotFound")
                                           ? "no such repository (HTTP 404)"
                                           : "no such repository or revision (HTTP 404)");
  return failed(ErrorCode::Unavailable, fmt::format("{} answered HTTP {}", host, response.status));
}

}  // namespace millrace::hub
