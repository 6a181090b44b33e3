// A request's tokens and memory, as the caches see it: all that a simulation needs of one.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "cache/sequence_memory.h"
#include "engine/draft.h"
#include "scheduler/memory_ledger.h"
#include "text/token.h"

namespace millrace {

struct Sequence {
  RequestId id = 0;
  std::string salt;             // of the prefix cache
  std::vector<TokenId> tokens;  // prompt, then answer; reserved to its end
  std::int64_t prompt_length = 0;
  std::int64_t max_length = 0;  // of tokens

  // Guesses: who makes them, how many, and those of the step that is planned or in flight.
  std::unique_ptr<Drafter> drafter;
  DraftLength draft_length{0};
  std::vector<TokenId> drafts;

  int in_flight = 0;  // steps begun and not ended that use its memory
  // Positions that may come from what others have computed; those behind it give something besides.
  std::int64_t most_cached = std::numeric_limits<std::int64_t>::max();
  bool keeps_memory = true;          // when it has ended, for others
  std::int64_t cached_tokens = 0;    // when it was admitted first
  std::int64_t replayed_tokens = 0;  // whenever it was
  std::int64_t admissions = 0;
  RequestId waits_for = 0;  // a sequence that computes what this one begins with

  virtual ~Sequence() = default;
};

// The memory of a sequence that is computed.
class SequenceLease final : public Lease {
 public:
  SequenceLease(Sequence& owner, SequenceMemory its_memory)
      : sequence(&owner), memory(std::move(its_memory)) {}

  Sequence* sequence;
  SequenceMemory memory;
};

inline SequenceLease& sequence_lease(Lease& lease) {
  return static_cast<SequenceLease&>(lease);
}

}  // namespace millrace
