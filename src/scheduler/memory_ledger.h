// What the scheduler has to know of memory: who gets it, and what is there already. The engine
// answers from its caches (engine/cache_ledger.h), tests and simulations from a few numbers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <variant>

namespace millrace {

using RequestId = std::uint64_t;

// What a request holds while it is computed; destroying it gives everything back.
class Lease {
 public:
  virtual ~Lease() = default;
};

class MemoryLedger {
 public:
  virtual ~MemoryLedger() = default;

  struct Opened {
    std::unique_ptr<Lease> lease;
    std::int64_t cached = 0;  // tokens of the request that are in memory already
    std::int64_t replay = 0;  // of them, to be run again before it can go on
  };
  enum class Refusal {
    NoRoom,  // not before somebody gives memory back
    Later,   // somebody is about to compute what this request begins with
  };
  // Memory for all tokens of the request that are known, and the one after them. With `spare`, only
  // if that many blocks could be had besides.
  virtual std::variant<Opened, Refusal> open(RequestId id, std::int64_t spare) = 0;

  // Room for `count` more tokens.
  virtual bool reserve(Lease& lease, std::int64_t count) = 0;

  // How many tokens, of `most`, the request's next step should guess; they are checked by the step.
  virtual std::int64_t drafts(Lease& lease, std::int64_t most) = 0;

  // The request is put off. The number of its tokens that are known then, if its memory is free
  // now; nothing while a step in flight still uses it: then Scheduler::returned() follows.
  virtual std::optional<std::int64_t> preempt(RequestId id, std::unique_ptr<Lease> lease) = 0;
};

}  // namespace millrace
