// The scheduler's questions about memory, answered from the caches: what of a request is in the
// prefix tree, whether there is room, what has to go for it.
#pragma once

#include <functional>
#include <vector>

#include "cache/prefix_tree.h"
#include "engine/sequence.h"
#include "scheduler/memory_ledger.h"

namespace millrace {

struct LedgerOptions {
  std::int64_t context = 0;  // most tokens of a sequence
  bool keep_prefixes = true;
};

class CacheLedger final : public MemoryLedger {
 public:
  using Lookup = std::function<Sequence&(RequestId)>;
  // `storage` must outlive the ledger.
  CacheLedger(CacheStorage& storage, const LedgerOptions& options, Lookup lookup);

  std::variant<Opened, Refusal> open(RequestId id, std::int64_t spare) override;
  bool reserve(Lease& lease, std::int64_t count) override;
  std::int64_t drafts(Lease& lease, std::int64_t most) override;
  std::optional<std::int64_t> preempt(RequestId id, std::unique_ptr<Lease> lease) override;

  // The sequence's tokens [0, length) are computed: others may share them.
  void computed(SequenceLease& lease, std::int64_t length);
  // No step uses the memory any more: it goes to the tree, or back to the pools.
  void release(std::unique_ptr<Lease> lease);
  // The memory that preempt() could not give back yet; nothing if there is none.
  std::unique_ptr<Lease> take_preempted(const Sequence& sequence);

  PrefixTree& tree() { return tree_; }
  const PrefixTree& tree() const { return tree_; }
  // Blocks that can be had.
  std::int64_t available() const { return storage_->blocks().free_count() + tree_.evictable(); }

 private:
  // Frees blocks until that many are free; false if they cannot be.
  bool make_room(std::int64_t blocks);
  bool is_being_computed(Sequence& sequence, std::span<const TokenId> usable);
  void leave_computing(const SequenceLease& lease);

  CacheStorage* storage_;
  LedgerOptions options_;
  Lookup lookup_;
  PrefixTree tree_;
  std::int64_t open_ = 0;                          // leases
  std::vector<SequenceLease*> computing_;          // whose prompts are not computed to their end
  std::vector<std::unique_ptr<Lease>> preempted_;  // that steps in flight use
};

}  // namespace millrace
