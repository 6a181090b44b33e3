#include "tools/serve_sim/traces.h"

#include <algorithm>
#include <random>

namespace millrace::sim {
namespace {

class Draws {
 public:
  explicit Draws(std::uint64_t seed) : random_(seed) {}
  double uniform() { return std::uniform_real_distribution<double>(0, 1)(random_); }
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, std::max(low, high))(random_);
  }
  double exponential(double mean) {
    return mean <= 0 ? 0 : std::exponential_distribution<double>(1 / mean)(random_);
  }
  std::vector<TokenId> tokens(std::int64_t count, std::int64_t vocab) {
    std::vector<TokenId> all(static_cast<std::size_t>(count));
    for (TokenId& token : all) token = static_cast<TokenId>(between(3, vocab - 1));
    return all;
  }
  // From half to one and a half times as many.
  std::vector<TokenId> about(std::int64_t count, std::int64_t vocab) {
    return tokens(between(count - count / 2, count + count / 2), vocab);
  }

 private:
  std::mt19937_64 random_;
};

void append(std::vector<TokenId>& to, const std::vector<TokenId>& more) {
  to.insert(to.end(), more.begin(), more.end());
}

}  // namespace

Trace conversations(const TraceOptions& o) {
  Draws draw(o.seed);
  const std::vector<TokenId> system = draw.tokens(o.system_tokens, o.vocab);
  Trace trace;
  double arrival = 0;
  for (std::int64_t conversation = 0; conversation < o.conversations; ++conversation) {
    arrival += draw.exponential(o.rate > 0 ? 1 / o.rate : 0);
    std::vector<TokenId> history = system;
    for (std::int64_t turn = 0; turn < o.turns; ++turn) {
      if (turn > 0 && draw.uniform() < o.edits) {
        // From some token on, everything is said anew.
        history.resize(
            static_cast<std::size_t>(draw.between(o.system_tokens, std::ssize(history))));
      }
      append(history, draw.about(o.user_tokens, o.vocab));
      TracedRequest request;
      request.arrival = turn == 0 ? arrival : draw.exponential(o.pause);
      request.conversation = conversation;
      request.turn = turn;
      request.prompt = history;
      const std::vector<TokenId> thought = draw.about(o.thought_tokens, o.vocab);
      const std::vector<TokenId> said =
          draw.about(std::max<std::int64_t>(2, o.answer_tokens - o.thought_tokens), o.vocab);
      request.answer = thought;
      append(request.answer, said);
      append(history, said);
      trace.push_back(std::move(request));
    }
  }
  return trace;
}

Trace single_prompts(std::int64_t count, std::int64_t prompt_tokens, std::int64_t answer_tokens,
                     double rate, std::uint64_t seed) {
  Draws draw(seed);
  Trace trace;
  double arrival = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    arrival += draw.exponential(rate > 0 ? 1 / rate : 0);
    TracedRequest request;
    request.arrival = arrival;
    request.conversation = i;
    request.prompt = draw.tokens(draw.between(prompt_tokens / 2, prompt_tokens * 2), 1000);
    request.answer = draw.tokens(
        draw.between(std::max<std::int64_t>(1, answer_tokens / 2), answer_tokens * 2), 1000);
    trace.push_back(std::move(request));
  }
  return trace;
}

Trace behind_plug(Trace trace) {
  for (TracedRequest& request : trace) {
    request.arrival = 1e-9;
    ++request.conversation;
  }
  TracedRequest plug;
  plug.prompt = {1};
  plug.answer = {1};
  trace.insert(trace.begin(), std::move(plug));
  return trace;
}

}  // namespace millrace::sim
