// Who computes what in the next step. Pure bookkeeping: no device, no tensor, no clock.
//
//   add() -> Waiting -> (Replaying ->) Prefilling -> Decoding -> removed by finish()
//
// Decodes go first, one token each, so that a running answer never waits for somebody's prompt;
// prompts share what is left of the step budget, first come first served, cut into chunks.
#pragma once

#include <cstdint>
#include <span>
#include <variant>
#include <vector>

namespace millrace {

using RequestId = std::uint64_t;

enum class SpanKind {
  Replay,   // rebuilds a conv state over cached KV: all its tokens in one step, writes no KV
  Prefill,  // a chunk of the prompt
  Decode,   // the token sampled last
};

struct PlanSpan {
  RequestId id;
  SpanKind kind;
  std::int64_t first;  // position
  std::int64_t count;
  bool wants_logits;  // of the last token
};

struct SchedulerLimits {
  std::int64_t step_budget = 512;  // tokens a step
  std::int64_t max_running = 16;   // sequences in one step
};

class Scheduler {
 public:
  explicit Scheduler(const SchedulerLimits& limits);

  // A request whose positions [0, cached) are in its memory already, but whose conv state needs
  // `replay` tokens before `cached` to run again (0: it is there). prompt_length > cached.
  // replay must fit the step budget.
  void add(RequestId id, std::int64_t prompt_length, std::int64_t cached, std::int64_t replay);

  // The next step; empty when nothing is to be done. Valid until the next call. Calling advance()
  // in between says that the step has been computed.
  std::span<const PlanSpan> next_plan();
  void advance();

  // The request has ended, for whatever reason. Must not come between next_plan and advance.
  void finish(RequestId id);

  std::size_t size() const { return requests_.size(); }

 private:
  struct Replaying {
    std::int64_t count;
  };
  struct Prefilling {};
  struct Decoding {};
  struct Request {
    RequestId id;
    std::int64_t prompt_length;
    std::int64_t next;  // position computed next
    std::variant<Replaying, Prefilling, Decoding> state;
  };

  // Appends the request's span if the budget has room, and returns what it takes of it.
  std::int64_t plan_one(const Request& request, std::int64_t room);

  SchedulerLimits limits_;
  std::vector<Request> requests_;  // in order of arrival
  std::vector<PlanSpan> plan_;
};

}  // namespace millrace
