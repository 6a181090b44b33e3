#include "scheduler/scheduler.h"

#include <algorithm>

#include "base/check.h"

namespace millrace {
namespace {

template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

}  // namespace

Scheduler::Scheduler(const SchedulerLimits& limits) : limits_(limits) {
  requests_.reserve(static_cast<std::size_t>(limits.max_running));
  plan_.reserve(static_cast<std::size_t>(limits.max_running));
}

void Scheduler::add(RequestId id, std::int64_t prompt_length, std::int64_t cached,
                    std::int64_t replay) {
  check(static_cast<std::int64_t>(requests_.size()) < limits_.max_running,
        "more requests than the scheduler runs at once");
  check(cached >= 0 && cached < prompt_length, "a request must have a token left to compute");
  check(replay <= cached && replay <= limits_.step_budget, "a replay must fit one step");
  Request request = {id, prompt_length, cached, Prefilling{}};
  if (replay > 0) request.state = Replaying{replay};
  requests_.push_back(request);
}

std::int64_t Scheduler::plan_one(const Request& request, std::int64_t room) {
  return std::visit(Overloaded{
                        [&](const Replaying& replay) -> std::int64_t {
                          if (replay.count > room) return 0;
                          plan_.push_back({request.id, SpanKind::Replay,
                                           request.next - replay.count, replay.count, false});
                          return replay.count;
                        },
                        [&](const Prefilling&) -> std::int64_t {
                          const std::int64_t count =
                              std::min(request.prompt_length - request.next, room);
                          if (count == 0) return 0;
                          plan_.push_back({request.id, SpanKind::Prefill, request.next, count,
                                           request.next + count == request.prompt_length});
                          return count;
                        },
                        [&](const Decoding&) -> std::int64_t {
                          if (room == 0) return 0;
                          plan_.push_back({request.id, SpanKind::Decode, request.next, 1, true});
                          return 1;
                        },
                    },
                    request.state);
}

std::span<const PlanSpan> Scheduler::next_plan() {
  plan_.clear();
  std::int64_t room = limits_.step_budget;
  for (const bool decodes : {true, false})
    for (const Request& request : requests_)
      if (std::holds_alternative<Decoding>(request.state) == decodes)
        room -= plan_one(request, room);
  return plan_;
}

void Scheduler::advance() {
  for (const PlanSpan& span : plan_) {
    const auto request = std::find_if(requests_.begin(), requests_.end(),
                                      [&](const Request& r) { return r.id == span.id; });
    check(request != requests_.end(), "a planned request is gone before its step was done");
    if (span.kind == SpanKind::Replay) {
      request->state = Prefilling{};
      continue;
    }
    request->next += span.count;
    if (span.wants_logits) request->state = Decoding{};
  }
  plan_.clear();
}

void Scheduler::finish(RequestId id) {
  check(plan_.empty(), "a request may not end while a step is planned");
  std::erase_if(requests_, [&](const Request& request) { return request.id == id; });
}

}  // namespace millrace
