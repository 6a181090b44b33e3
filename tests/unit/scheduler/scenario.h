// Scheduler tests as text: what comes, and what each step must be then. No backend, no clock.
//
//   limits budget=8 running=4 blocks=6 block=4    # also replay=, spare_logits=, share=, aging=
//   submit a prompt=6 priority=-1 cached=4 replay=2 waits drafts=3    # also logits=, until there
//   step > a:replay[2,4) a:prefill[4,6)!          # ! asks for logits; > - is an empty step
//   verified a 5                                  # that many positions are right
//   busy a / idle a                               # a step in flight uses its memory / has ended
//   later a / ready a                             # somebody computes its beginning / has done so
//   end a
//   free > 3                                      # blocks
//
// Each command is a line; the first line that is not met fails the test, with its number.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "scheduler/scheduler.h"

namespace millrace::testing {

// Memory as a number of blocks; knows of each request what the scheduler may ask.
class CountingLedger final : public MemoryLedger {
 public:
  struct Request {
    std::int64_t tokens = 0;    // known
    std::int64_t computed = 0;  // positions in memory
    std::int64_t cached = 0, replay = 0, drafts = 0;
    bool busy = false, later = false;
    std::int64_t blocks = 0;
    std::int64_t admissions = 0;
  };
  CountingLedger(std::int64_t blocks, std::int64_t block) : free_(blocks), block_(block) {}

  std::variant<Opened, Refusal> open(RequestId id, std::int64_t spare) override;
  bool reserve(Lease& lease, std::int64_t count) override;
  std::int64_t drafts(Lease& lease, std::int64_t most) override;
  std::optional<std::int64_t> preempt(RequestId id, std::unique_ptr<Lease> lease) override;

  Request& of(RequestId id) { return requests_[id]; }
  std::int64_t free_blocks() const { return free_; }
  // The steps that used a preempted request's memory have ended.
  std::int64_t settle(RequestId id);
  std::unique_ptr<Lease> settle_lease(RequestId id);
  bool is_returning(RequestId id) const { return preempted_.contains(id); }
  // What a step's spans do to requests; a token is known after each row of logits.
  void run(std::span<const PlanSpan> plan);

 private:
  class Held;
  std::int64_t blocks_for(std::int64_t tokens) const { return (tokens + block_ - 1) / block_; }

  std::int64_t free_;
  std::int64_t block_;
  std::int64_t open_ = 0;
  std::map<RequestId, Request> requests_;
  std::map<RequestId, std::unique_ptr<Lease>> preempted_;
};

// "1:prefill[0,4) 2:decode[7,8)!", with names for ids where there are any.
std::string show(std::span<const PlanSpan> plan,
                 const std::map<RequestId, std::string>& names = {});

// Empty, or what was not met.
std::string run_scenario(const std::string& text);

}  // namespace millrace::testing
