#include "scheduler/scheduler.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "base/check.h"

namespace millrace {
namespace {

template <class... Fs>
struct Overloaded : Fs... {
  using Fs::operator()...;
};
template <class... Fs>
Overloaded(Fs...) -> Overloaded<Fs...>;

template <typename State>
concept HoldsLease = requires(State state) {
  state.lease;
};

}  // namespace

Scheduler::Scheduler(const SchedulerLimits& limits, MemoryLedger& ledger,
                     const SchedulerPolicy& policy)
    : limits_(limits), policy_(policy), ledger_(&ledger) {
  check(limits.step_budget >= limits.max_running + limits.replay_tokens,
        "a step has no room for a token of every request and a replay");
  running_.reserve(static_cast<std::size_t>(limits.max_running));
  plan_.reserve(static_cast<std::size_t>(limits.max_running));
  planned_.reserve(static_cast<std::size_t>(limits.max_running));
}

Scheduler::Entry& Scheduler::entry_of(RequestId id) {
  const auto found = entries_.find(id);
  check(found != entries_.end(), "an event names a request that is not there");
  return *found->second;
}

const Lease* Scheduler::lease(RequestId id) const {
  const auto found = entries_.find(id);
  return found == entries_.end() ? nullptr : lease_of(*found->second);
}

Lease* Scheduler::lease_of(const Entry& entry) {
  return std::visit(
      [](const auto& state) -> Lease* {
        if constexpr (HoldsLease<decltype(state)>)
          return state.lease.get();
        else
          return nullptr;
      },
      entry.state);
}

std::unique_ptr<Lease> Scheduler::take_lease(Entry& entry) {
  return std::visit(
      [](auto& state) -> std::unique_ptr<Lease> {
        if constexpr (HoldsLease<decltype(state)>)
          return std::move(state.lease);
        else
          return nullptr;
      },
      entry.state);
}

void Scheduler::submit(const Submission& submission) {
  check(submission.tokens > 0, "a request must have a token to compute");
  check(std::abs(submission.priority) <= kMostPriority, "a priority beyond its range");
  auto entry = std::make_unique<Entry>();
  entry->submission = submission;
  entry->due = steps_ + submission.priority * policy_.aging_steps;
  entry->known = submission.tokens;
  waiting_.insert(entry.get());
  check(entries_.emplace(submission.id, std::move(entry)).second, "a request comes twice");
}

void Scheduler::stop_running(Entry& entry) {
  running_.erase(std::find(running_.begin(), running_.end(), &entry));
}

std::unique_ptr<Lease> Scheduler::end(RequestId id) {
  check(plan_.empty(), "a request may not end while a step is planned");
  Entry& entry = entry_of(id);
  std::visit(Overloaded{[&](const Waiting&) { waiting_.erase(&entry); },
                        [&](const Preempted&) { --returning_; },
                        [&](const auto&) { stop_running(entry); }},
             entry.state);
  std::unique_ptr<Lease> lease = take_lease(entry);
  entries_.erase(id);
  return lease;
}

void Scheduler::verified(RequestId id, std::int64_t computed) {
  Entry& entry = entry_of(id);
  std::visit(Overloaded{[&](Verifying& state) {
                          check(computed <= entry.next, "more is right than was computed");
                          entry.next = computed;
                          std::unique_ptr<Lease> lease = std::move(state.lease);
                          entry.state = Decoding{std::move(lease)};
                        },
                        // Was put off while its step ran: returned() says what is known.
                        [&](const Preempted&) {}, [&](const Waiting&) {},
                        [](const auto&) { check_failed("tokens come that nobody waits for"); }},
             entry.state);
}

void Scheduler::judged(RequestId id, std::int64_t position) {
  entry_of(id).judged = position;
}

void Scheduler::returned(RequestId id, std::int64_t tokens) {
  Entry& entry = entry_of(id);
  check(std::holds_alternative<Preempted>(entry.state), "memory comes back that nobody gave");
  --returning_;
  entry.known = tokens;
  entry.state = Waiting{};
  waiting_.insert(&entry);
}

bool Scheduler::preempt(Entry& entry) {
  ++preemptions_;
  stop_running(entry);
  const std::optional<std::int64_t> known =
      ledger_->preempt(entry.submission.id, take_lease(entry));
  entry.state = Preempted{};
  ++returning_;
  if (known) returned(entry.submission.id, *known);
  return known.has_value();
}

bool Scheduler::make_room(Entry& entry) {
  if (returning_ > 0) return false;  // there will be, in the next step
  for (std::size_t i = running_.size(); i-- > 0;) {
    Entry& last = *running_[i];
    if (last.planned) continue;
    const bool itself = &last == &entry;
    return preempt(last) && !itself;
  }
  return false;
}

void Scheduler::plan_span(Entry& entry, SpanKind kind, std::int64_t first, std::int64_t count,
                          bool logits) {
  plan_.push_back({entry.submission.id, lease_of(entry), kind, first, count, logits});
  planned_.push_back(&entry);
  entry.planned = true;
}

void Scheduler::plan_decodes(std::int64_t& room) {
  const auto decodes = std::count_if(running_.begin(), running_.end(), [](const Entry* each) {
    return std::holds_alternative<Decoding>(each->state);
  });
  // Guesses leave half of what is left to prompts, of rows too where a prompt wants them.
  const bool shares = std::any_of(running_.begin(), running_.end(),
                                  [](const Entry* each) { return wants_rows(*each); });
  std::int64_t guesses =
      std::max<std::int64_t>(0, std::min((room - decodes - limits_.replay_tokens) / 2,
                                         shares ? limits_.spare_logits / 2 : limits_.spare_logits));
  for (std::size_t i = 0; i < running_.size();) {
    Entry& entry = *running_[i];
    if (!std::holds_alternative<Decoding>(entry.state)) {
      ++i;
      continue;
    }
    Lease& lease = *lease_of(entry);
    std::int64_t drafts = 0;
    if (entry.submission.waits_for_tokens && guesses > 0) drafts = ledger_->drafts(lease, guesses);
    bool there = ledger_->reserve(lease, 1 + drafts);
    if (!there && drafts > 0) {
      drafts = 0;
      there = ledger_->reserve(lease, 1);
    }
    while (!there && make_room(entry)) there = ledger_->reserve(lease, 1);
    if (there) {
      plan_span(entry, SpanKind::Decode, entry.next, 1 + drafts, true);
      guesses -= drafts;
      spare_logits_ -= drafts;
      room -= 1 + drafts;
    }
    // Whoever was put off is not there any more; those that are left come in the same order.
    if (i < running_.size() && running_[i] == &entry) ++i;
  }
}

std::int64_t Scheduler::prompt_demand(const Entry& entry) const {
  return std::visit(Overloaded{[](const Replaying& state) { return state.count; },
                               [&](const Prefilling&) { return entry.known - entry.next; },
                               [](const auto&) { return std::int64_t{0}; }},
                    entry.state);
}

// Was put off in the middle of a prompt that wants rows of logits, and has not come as far again?
bool Scheduler::is_back(const Entry& entry) {
  return entry.next < entry.judged && entry.judged < entry.submission.logits_until;
}

// A row of logits for each token of its next chunk?
bool Scheduler::wants_rows(const Entry& entry) {
  return std::holds_alternative<Prefilling>(entry.state) &&
         std::max(entry.next, entry.judged) < entry.submission.logits_until;
}

std::int64_t Scheduler::plan_prompt(Entry& entry, std::int64_t room) {
  return std::visit(Overloaded{[&](const Replaying& state) -> std::int64_t {
                                 if (state.count > room) return 0;
                                 plan_span(entry, SpanKind::Replay, entry.next - state.count,
                                           state.count, false);
                                 return state.count;
                               },
                               [&](const Prefilling&) -> std::int64_t {
                                 std::int64_t count = std::min(entry.known - entry.next, room);
                                 if (count <= 0) return 0;
                                 if (is_back(entry)) {
                                   count = std::min(count, entry.judged - entry.next);
                                 } else if (wants_rows(entry)) {  // one is there for everybody
                                   count = std::min(count, 1 + spare_logits_);
                                   spare_logits_ -= count - 1;
                                 }
                                 plan_span(entry, SpanKind::Prefill, entry.next, count,
                                           entry.next + count == entry.known);
                                 return count;
                               },
                               [](const auto&) -> std::int64_t { return 0; }},
                    entry.state);
}

void Scheduler::plan_prompts(std::int64_t& room) {
  Entry* first = nullptr;
  std::int64_t others = 0;
  for (Entry* entry : running_) {
    const std::int64_t demand = prompt_demand(*entry);
    if (demand == 0) continue;
    if (first)
      others += demand;
    else
      first = entry;
  }
  first_prompt_ = -1;
  if (!first) return;
  // Those that could be admitted now have something to compute, too.
  std::int64_t places = limits_.max_running - std::ssize(running_) - returning_;
  for (auto it = waiting_.begin(); it != waiting_.end() && places > 0 && others < room; ++it) {
    others += (*it)->known;
    --places;
  }
  // The first gets its part, and what the others leave.
  first_prompt_ = std::ssize(plan_);
  const auto part =
      static_cast<std::int64_t>(std::ceil(static_cast<double>(room) * policy_.first_prompt_share));
  room -=
      plan_prompt(*first, std::max({part, room - others, std::min(room, limits_.replay_tokens)}));
  for (Entry* entry : running_)
    if (entry != first && room > 0) room -= plan_prompt(*entry, room);
}

// Of those that run, the last gives way to one of a higher priority that found no place.
void Scheduler::give_way() {
  if (!blocked_ || waiting_.empty() || running_.empty() || returning_ > 0) return;
  const Entry& first = **waiting_.begin();
  Entry& last = *running_.back();
  if (first.submission.priority < last.submission.priority && InOrder{}(&first, &last))
    preempt(last);
}

void Scheduler::admit(std::int64_t& room) {
  constexpr int kMostPassed = 64;
  int passed = 0;
  for (auto it = waiting_.begin(); it != waiting_.end() && room > 0;) {
    Entry& entry = **it;
    blocked_ = std::ssize(running_) + returning_ >= limits_.max_running;
    if (blocked_) return;
    const auto spare = static_cast<std::int64_t>(
        std::ceil(policy_.spare_blocks_per_answer * static_cast<double>(running_.size())));
    auto opened = ledger_->open(entry.submission.id, spare);
    if (const auto* refusal = std::get_if<MemoryLedger::Refusal>(&opened)) {
      blocked_ = *refusal == MemoryLedger::Refusal::NoRoom;
      if (blocked_ || ++passed == kMostPassed) return;
      ++it;  // others can pass, no longer than a prompt takes
      continue;
    }
    auto& memory = std::get<MemoryLedger::Opened>(opened);
    check(memory.cached >= 0 && memory.cached < entry.known,
          "a request must have a token left to compute");
    check(memory.replay <= memory.cached && memory.replay <= limits_.replay_tokens,
          "a replay is longer than any can be");
    it = waiting_.erase(it);
    entry.next = memory.cached;
    if (memory.replay > 0)
      entry.state = Replaying{std::move(memory.lease), memory.replay};
    else
      entry.state = Prefilling{std::move(memory.lease)};
    running_.insert(std::upper_bound(running_.begin(), running_.end(), &entry, InOrder{}), &entry);
    room -= plan_prompt(entry, room);
  }
}

// What nobody else took goes to the first prompt.
void Scheduler::top_up(std::int64_t room) {
  if (first_prompt_ < 0 || first_prompt_ >= std::ssize(plan_)) return;
  PlanSpan& span = plan_[static_cast<std::size_t>(first_prompt_)];
  if (span.kind != SpanKind::Prefill) return;
  const Entry& entry = *planned_[static_cast<std::size_t>(first_prompt_)];
  if (is_back(entry)) {
    room = std::min(room, entry.judged - span.first - span.count);
  } else if (wants_rows(entry)) {
    room = std::min(room, spare_logits_);
    spare_logits_ -= std::min(room, entry.known - span.first - span.count);
  }
  span.count += std::min(room, entry.known - span.first - span.count);
  span.wants_logits = span.first + span.count == entry.known;
}

std::span<const PlanSpan> Scheduler::next_plan() {
  check(plan_.empty(), "a plan is asked for before the one before it has begun");
  std::int64_t room = limits_.step_budget;
  spare_logits_ = limits_.spare_logits;
  give_way();
  plan_decodes(room);
  plan_prompts(room);
  admit(room);
  top_up(room);
  if (!plan_.empty()) ++steps_;
  return plan_;
}

void Scheduler::begun() {
  for (std::size_t i = 0; i < plan_.size(); ++i) {
    Entry& entry = *planned_[i];
    const PlanSpan& span = plan_[i];
    entry.planned = false;
    std::unique_ptr<Lease> lease = take_lease(entry);
    if (span.kind == SpanKind::Replay) {
      entry.state = Prefilling{std::move(lease)};
      continue;
    }
    entry.next += span.count;
    if (!span.wants_logits)
      entry.state = Prefilling{std::move(lease)};
    else if (entry.submission.waits_for_tokens)
      entry.state = Verifying{std::move(lease)};
    else
      entry.state = Decoding{std::move(lease)};
  }
  plan_.clear();
  planned_.clear();
}

}  // namespace millrace
