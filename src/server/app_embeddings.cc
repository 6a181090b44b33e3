// POST /v1/embeddings.
#include <fmt/format.h>

#include "base/json.h"
#include "server/app_parts.h"

namespace millrace::server {
namespace asio = boost::asio;

asio::awaitable<int> App::embed(Exchange& exchange) {
  const Clock::time_point arrived = Clock::now();
  auto spec = co_await run_on(workers_, [&]() -> ApiResult<EmbeddingSpec> {
    const auto body = parse_json(exchange.request().body, "body", 128);
    if (!body) return api_fail(api_error(body.error()));
    return parse_embeddings(*body, model_);
  });
  if (!spec) co_return co_await refuse(exchange, spec.error());
  const std::int64_t inputs = std::ssize(spec->requests);
  if (const auto error = refusal(inputs, "input")) co_return co_await refuse(exchange, *error);
  const auto job = relay_.make_job();
  job->arrived = arrived;
  if (const Status status = start(job, std::exchange(spec->requests, {}), exchange.request().id);
      !status) {
    const ApiError error = api_error(status.error());
    co_return co_await refuse(exchange, error);
  }
  const Active active(active_, {exchange.request().id}, job);
  watch(exchange, job);

  std::vector<std::vector<float>> embeddings(static_cast<std::size_t>(inputs));
  std::int64_t prompt_tokens = 0;
  for (std::int64_t open = inputs; open > 0;) {
    co_await job->wait();
    if (job->gone) {
      ++metrics_.disconnected;
      co_return kClientGone;
    }
    for (TokenUpdate& update : std::exchange(job->updates, {})) {
      observe(*job, update, exchange.facts());
      if (!update.finish) continue;
      --open;
      if (*update.finish != FinishReason::Stop) {
        job->gone = true;
        job->cancel();
        const bool failed = *update.finish == FinishReason::Failed;
        const ApiError error{.status = failed ? 500 : 503,
                             .message = failed ? update.error
                                               : fmt::format("ended before it was done: {}",
                                                             to_string(*update.finish)),
                             .type = "server_error"};
        co_return co_await refuse(exchange, error);
      }
      prompt_tokens += update.usage.prompt_tokens;
      embeddings[static_cast<std::size_t>(update.choice)] = std::move(update.embedding);
    }
  }
  std::string body = co_await run_on(workers_, [&] {
    return dump(embeddings_body(*spec, model_.names.front(), std::move(embeddings), prompt_tokens));
  });
  HttpReply reply{.body = std::move(body)};
  co_return co_await send(exchange, std::move(reply));
}

}  // namespace millrace::server
