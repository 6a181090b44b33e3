// Who computes what in the next step. Pure bookkeeping: no device, no tensor, no clock.
//
//   submit -> Waiting -> (Replaying ->) Prefilling -> Decoding <-> Verifying -> end
//                ^                          |             |            |
//                +------ Preempted <--------+-------------+------------+
//
// A step has a budget of tokens. Decodes go first, one token each, so that a running answer never
// waits for somebody's prompt; prompts share what is left, in chunks.
//
// Order. Requests stand in one order from beginning to end: by the step they came in, plus
// `aging_steps` for each level of priority (lower comes first, 0 by default). So nobody is
// overtaken for ever: a request of priority p lets pass only those of priority q < p that come less
// than (p - q) * aging_steps steps after it.
//
// Memory. A request is admitted with room for its prompt and grows block by block. Where there is
// none, whoever comes last in the order is preempted: its blocks go back, and it waits at its old
// place in the order. So the first in the order always goes on, and everybody becomes first.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <span>
#include <unordered_map>
#include <variant>
#include <vector>

#include "scheduler/memory_ledger.h"

namespace millrace {

enum class SpanKind {
  Replay,   // rebuilds a conv state over cached KV: all its tokens in one step, writes no KV
  Prefill,  // a chunk of tokens that are known
  Decode,   // the token sampled last, and perhaps guesses of those after it
};

struct PlanSpan {
  RequestId id;
  Lease* lease;
  SpanKind kind;
  std::int64_t first;  // position
  std::int64_t count;
  bool wants_logits;  // of the last token; of a decode's all
};

struct SchedulerLimits {
  std::int64_t step_budget = 512;  // tokens a step; at least max_running + replay_tokens
  std::int64_t max_running = 16;   // sequences in one step
  std::int64_t replay_tokens = 0;  // the longest replay there can be
  std::int64_t spare_logits = 0;   // rows of logits a step may have beyond one a sequence
};

// What may be tried out; `millrace-sim` compares.
struct SchedulerPolicy {
  // Of the budget that decodes leave, the part that the first prompt in the order gets while others
  // have something to compute. 1: first come, first served; less lets short prompts pass long ones.
  double first_prompt_share = 0.5;
  std::int64_t aging_steps = 256;
  // Blocks that must stay free for each running answer when another is admitted.
  double spare_blocks_per_answer = 1;
};

// How a request comes to the scheduler.
struct Submission {
  RequestId id;
  std::int64_t tokens;  // of the prompt, at least one
  int priority = 0;     // lower comes first
  // Its tokens are checked or chosen by the host: no step may be planned beyond one that is not.
  bool waits_for_tokens = false;
  // Positions of the prompt before it want a row of logits each: its chunks are as long as the
  // step has rows.
  std::int64_t logits_until = 0;
};

constexpr int kMostPriority = 1'000'000;

class Scheduler {
 public:
  // `ledger` must outlive the scheduler.
  Scheduler(const SchedulerLimits& limits, MemoryLedger& ledger,
            const SchedulerPolicy& policy = {});

  // Events. What a request is in decides what they mean; those that make no sense abort.
  void submit(const Submission& submission);
  // The step that was planned has begun.
  void begun();
  // Of a request that waits for its tokens: those of its step are known, and this is how many
  // positions are computed and right.
  void verified(RequestId id, std::int64_t computed);
  // Of a request with logits_until: nobody wants the rows of positions before this one any more.
  void judged(RequestId id, std::int64_t position);
  // The memory of a preempted request is free; it knows this many tokens.
  void returned(RequestId id, std::int64_t tokens);
  // The request has ended, for whatever reason. What it held, if it held anything. Must not come
  // between next_plan() and begun().
  std::unique_ptr<Lease> end(RequestId id);

  // The next step, in order of requests; empty when nothing can be computed. Valid until the next
  // call; begun() must be called before that if the plan is not empty.
  std::span<const PlanSpan> next_plan();

  // What the request holds; null if nothing.
  const Lease* lease(RequestId id) const;
  std::int64_t waiting() const { return std::ssize(waiting_); }
  std::int64_t running() const { return std::ssize(running_); }
  bool idle() const { return entries_.empty(); }
  // Steps that were planned; what waiting is counted in.
  std::int64_t steps() const { return steps_; }
  std::uint64_t preemptions() const { return preemptions_; }

 private:
  struct Waiting {};
  struct Preempted {};  // its memory is on its way back
  struct Replaying {
    std::unique_ptr<Lease> lease;
    std::int64_t count;
  };
  struct Prefilling {
    std::unique_ptr<Lease> lease;
  };
  struct Decoding {
    std::unique_ptr<Lease> lease;
  };
  struct Verifying {  // a step in flight decides where it goes on
    std::unique_ptr<Lease> lease;
  };
  using State = std::variant<Waiting, Preempted, Replaying, Prefilling, Decoding, Verifying>;

  struct Entry {
    Submission submission;
    std::int64_t due;      // the order, before ids
    std::int64_t known;    // tokens whose values are known when it is admitted: its prompt
    std::int64_t next;     // position computed next
    bool planned = false;  // is in the plan
    State state;
    std::int64_t judged = 0;  // of positions before it no rows of logits are wanted any more
  };
  struct InOrder {
    bool operator()(const Entry* a, const Entry* b) const {
      return a->due != b->due ? a->due < b->due : a->submission.id < b->submission.id;
    }
  };

  Entry& entry_of(RequestId id);
  static Lease* lease_of(const Entry& entry);
  static std::unique_ptr<Lease> take_lease(Entry& entry);

  void plan_decodes(std::int64_t& room);
  void plan_prompts(std::int64_t& room);
  void admit(std::int64_t& room);
  void top_up(std::int64_t room);
  void plan_span(Entry& entry, SpanKind kind, std::int64_t first, std::int64_t count, bool logits);
  // What a replay or prompt takes of `room`; plans it.
  std::int64_t plan_prompt(Entry& entry, std::int64_t room);
  std::int64_t prompt_demand(const Entry& entry) const;
  static bool is_back(const Entry& entry);
  static bool wants_rows(const Entry& entry);
  // Puts somebody off who comes after `entry`, or itself if nobody does; false if nothing is free
  // for it now.
  bool make_room(Entry& entry);
  bool preempt(Entry& entry);
  void give_way();
  void stop_running(Entry& entry);

  SchedulerLimits limits_;
  SchedulerPolicy policy_;
  MemoryLedger* ledger_;
  std::unordered_map<RequestId, std::unique_ptr<Entry>> entries_;
  std::set<Entry*, InOrder> waiting_;
  std::vector<Entry*> running_;  // in order; whoever has a lease
  std::vector<PlanSpan> plan_;
  std::vector<Entry*> planned_;     // by span
  std::int64_t first_prompt_ = -1;  // place in the plan of the first prompt in the order
  std::int64_t spare_logits_ = 0;   // rows of the step that nobody has yet
  std::int64_t returning_ = 0;      // preempted ones whose memory is not free yet
  bool blocked_ = false;            // the first that waits found no place
  std::int64_t steps_ = 0;
  std::uint64_t preemptions_ = 0;
};

}  // namespace millrace
