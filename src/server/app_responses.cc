// Paths about answers that are being made or were kept: /v1/responses/ID, /abort_requests.
#include <algorithm>

#include "api/body_reader.h"
#include "base/json.h"
#include "server/app.h"

namespace millrace::server {
namespace asio = boost::asio;

asio::awaitable<int> App::stored(Exchange& exchange) {
  std::string_view id = exchange.request().path;
  id.remove_prefix(std::string_view("/v1/responses/").size());
  const std::size_t slash = std::min(id.find('/'), id.size());
  const std::string_view part = id.substr(slash);
  id = id.substr(0, slash);
  const std::string& method = exchange.request().method;
  const auto result = [&]() -> ApiResult<Json> {
    if (part.empty() && (method == "GET" || method == "HEAD")) return responses_.find(id);
    if (part.empty() && method == "DELETE") return responses_.erase(id);
    if (part == "/cancel" && method == "POST") return responses_.cancel(id);
    if (part == "/input_items" && method == "GET") return responses_.input_items(id);
    if (part.empty() || part == "/cancel" || part == "/input_items")
      return api_fail(
          {.status = 405, .message = "this path does not take " + method + " requests"});
    return api_fail(not_found(exchange.request().path.substr(0, 200)));
  }();
  if (!result) co_return co_await refuse(exchange, result.error());
  HttpReply reply{.body = dump(*result)};
  co_return co_await send(exchange, std::move(reply));
}

// By the ids of answers ("chatcmpl-...") or of requests (x-request-id).
asio::awaitable<int> App::abort_requests(Exchange& exchange) {
  const auto result = [&]() -> ApiResult<Json> {
    const auto body = parse_json(exchange.request().body, "body", 16);
    if (!body) return api_fail(api_error(body.error()));
    BodyReader reader(*body);
    const Json* ids = reader.list("request_ids", 65536);
    const bool all = reader.boolean("abort_all").value_or(false);
    if (!ids && !all) reader.fail("request_ids", "expected a list of ids, or abort_all: true");
    if (auto error = reader.finish()) return api_fail(std::move(*error));
    Json aborted = Json::array();
    const auto abort = [&](const std::string& id, const std::weak_ptr<Job>& weak) {
      const auto job = weak.lock();
      if (!job) return;
      job->cancel();
      aborted.push_back(id);
    };
    for (const auto& [id, job] : *active_)
      if (all || std::find(ids->begin(), ids->end(), id) != ids->end()) abort(id, job);
    return Json{{"aborted", std::move(aborted)}};
  }();
  if (!result) co_return co_await refuse(exchange, result.error());
  HttpReply reply{.body = dump(*result)};
  co_return co_await send(exchange, std::move(reply));
}

}  // namespace millrace::server
