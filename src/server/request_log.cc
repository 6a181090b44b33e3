#include "server/request_log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "base/json.h"

namespace millrace::server {
namespace {

std::string one_line(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string utc_time(std::chrono::system_clock::time_point at) {
  const auto ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                     fmt::gmtime(std::chrono::system_clock::to_time_t(at)), ms % 1000);
}

std::string request_line(LogFormat format, const HttpRequest& request, const RequestFacts& facts,
                         int status, double seconds, const std::string& time) {
  // Paths come from strangers: none is too long or breaks a line.
  const std::string path = request.path.substr(0, 200);
  if (format == LogFormat::Json) {
    Json json = {{"time", time},
                 {"level", status >= 500 ? "error" : "info"},
                 {"event", "request"},
                 {"request_id", request.id},
                 {"method", request.method},
                 {"path", path},
                 {"status", status},
                 {"seconds", seconds}};
    if (facts.prompt_tokens >= 0) {
      json["stream"] = facts.stream;
      json["prompt_tokens"] = facts.prompt_tokens;
      json["cached_tokens"] = facts.cached_tokens;
      json["completion_tokens"] = facts.completion_tokens;
      json["first_token_seconds"] = facts.first_token_seconds;
      json["finish_reason"] = facts.finish_reason;
    }
    return one_line(json) + "\n";
  }
  std::string line;
  for (const char c : fmt::format("{} {} {} {} {} {:.3f} s", time, request.id, request.method, path,
                                  status, seconds))
    line += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  if (facts.prompt_tokens >= 0)
    line += fmt::format(" | {} in ({} cached), {} out, first after {:.3f} s, {}",
                        facts.prompt_tokens, facts.cached_tokens, facts.completion_tokens,
                        facts.first_token_seconds, facts.finish_reason);
  return line + "\n";
}

std::string event_line(LogFormat format, const std::string& message, const std::string& time) {
  if (format == LogFormat::Text) return "millrace: " + message + "\n";
  return one_line({{"time", time}, {"level", "info"}, {"event", "server"}, {"message", message}}) +
         "\n";
}

}  // namespace millrace::server
