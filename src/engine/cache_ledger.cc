#include "engine/cache_ledger.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace millrace {

CacheLedger::CacheLedger(CacheStorage& storage, const LedgerOptions& options, Lookup lookup)
    : storage_(&storage), options_(options), lookup_(std::move(lookup)), tree_(storage) {
  const auto slots = static_cast<std::size_t>(storage.slots().count());
  computing_.reserve(slots);
  preempted_.reserve(slots);
}

bool CacheLedger::make_room(std::int64_t blocks) {
  while (storage_->blocks().free_count() < blocks)
    if (!tree_.evict_block()) return false;
  return true;
}

// Somebody computes a beginning of these tokens that is worth waiting for: more than the tree has
// by more than a replay costs.
bool CacheLedger::is_being_computed(Sequence& sequence, std::span<const TokenId> usable) {
  if (sequence.waits_for != 0) {
    // Nothing has changed as long as it is at it.
    for (const SequenceLease* lease : computing_)
      if (lease->sequence->id == sequence.waits_for) return true;
    sequence.waits_for = 0;
  }
  const std::int64_t block = storage_->geometry().block_tokens;
  const std::int64_t worth = storage_->geometry().replay_tokens() + 2 * block;
  std::int64_t there = -1;
  for (const SequenceLease* lease : computing_) {
    const Sequence& other = *lease->sequence;
    if (other.salt != sequence.salt) continue;
    const auto common =
        std::mismatch(usable.begin(), usable.end(), other.tokens.begin(), other.tokens.end())
            .first -
        usable.begin();
    if (common / block * block < worth) continue;
    if (there < 0) there = tree_.match_length(sequence.salt, usable);
    if (common / block * block - there < worth) continue;
    sequence.waits_for = other.id;
    return true;
  }
  return false;
}

std::variant<MemoryLedger::Opened, MemoryLedger::Refusal> CacheLedger::open(RequestId id,
                                                                            std::int64_t spare) {
  Sequence& sequence = lookup_(id);
  const auto known = std::ssize(sequence.tokens);
  // The last token is never taken from the tree: somebody must compute its logits.
  const std::span<const TokenId> usable =
      std::span(sequence.tokens)
          .first(static_cast<std::size_t>(std::min(known - 1, sequence.most_cached)));
  SharedPrefix prefix;
  if (options_.keep_prefixes && !usable.empty()) {
    if (is_being_computed(sequence, usable)) return Refusal::Later;
    prefix = tree_.match(sequence.salt, usable);
  }
  const CacheGeometry& geometry = storage_->geometry();
  const auto matched = [&] { return usable.first(static_cast<std::size_t>(prefix.length)); };

  // Room, counted before anything is taken. A block that agrees in part is copied.
  const std::int64_t size = geometry.block_tokens;
  const std::int64_t in_all = (known + 1 + size - 1) / size;
  std::int64_t needed = in_all - prefix.length / size;
  if (open_ > 0) {
    if (available() < needed + spare) return Refusal::NoRoom;
  } else if (available() < needed) {
    // Alone, with a context as long as the cache: without the copy it fits.
    check(prefix.length % size != 0, "an idle engine has no room for a single sequence");
    prefix.blocks.pop_back();
    prefix.length = prefix.length / size * size;
    check(available() >= in_all - prefix.length / size,
          "an idle engine has no room for a single sequence");
  }
  prefix.conv = tree_.take_conv_state(sequence.salt, matched());
  // So short a beginning is computed as quickly as its conv state is rebuilt.
  if (!prefix.conv && prefix.length <= geometry.replay_tokens()) prefix = {};
  if (!prefix.conv && storage_->slots().free_count() == 0 && !tree_.evict_conv_state())
    return Refusal::NoRoom;

  const std::int64_t cached = prefix.length;
  std::optional<SequenceMemory> memory =
      SequenceMemory::open(*storage_, options_.context, std::move(prefix));
  check(memory.has_value(), "a slot was free");
  const std::int64_t count = known + 1 - cached;
  const bool there = make_room(memory->blocks_to_reserve(count)) && memory->reserve(count);
  check(there, "blocks were counted before they were taken");
  const std::int64_t replay = memory->replay_count();
  if (sequence.admissions++ == 0) sequence.cached_tokens = cached;
  sequence.replayed_tokens += replay;
  auto lease = std::make_unique<SequenceLease>(sequence, std::move(*memory));
  computing_.push_back(lease.get());
  ++open_;
  return Opened{std::move(lease), cached, replay};
}

bool CacheLedger::reserve(Lease& lease, std::int64_t count) {
  SequenceMemory& memory = sequence_lease(lease).memory;
  const std::int64_t blocks = memory.blocks_to_reserve(count);
  if (blocks == 0) return memory.reserve(count);
  return make_room(blocks) && memory.reserve(count);
}

std::int64_t CacheLedger::drafts(Lease& lease, std::int64_t most) {
  Sequence& sequence = *sequence_lease(lease).sequence;
  sequence.drafts.clear();
  if (!sequence.drafter) return 0;
  // One token comes without guessing.
  most = std::min(
      {most, sequence.draft_length.next(), sequence.max_length - std::ssize(sequence.tokens) - 1});
  if (most > 0) sequence.drafter->propose(sequence.tokens, most, sequence.drafts);
  check(std::ssize(sequence.drafts) <= std::max<std::int64_t>(0, most),
        "a drafter guesses more than it was asked for");
  return std::ssize(sequence.drafts);
}

std::optional<std::int64_t> CacheLedger::preempt(RequestId, std::unique_ptr<Lease> lease) {
  const Sequence& sequence = *sequence_lease(*lease).sequence;
  if (sequence.in_flight > 0) {
    leave_computing(sequence_lease(*lease));
    preempted_.push_back(std::move(lease));
    return std::nullopt;
  }
  release(std::move(lease));
  return std::ssize(sequence.tokens);
}

std::unique_ptr<Lease> CacheLedger::take_preempted(const Sequence& sequence) {
  const auto found = std::find_if(preempted_.begin(), preempted_.end(), [&](const auto& lease) {
    return sequence_lease(*lease).sequence == &sequence;
  });
  if (found == preempted_.end()) return nullptr;
  std::unique_ptr<Lease> lease = std::move(*found);
  preempted_.erase(found);
  return lease;
}

void CacheLedger::leave_computing(const SequenceLease& lease) {
  std::erase(computing_, &lease);
}

void CacheLedger::computed(SequenceLease& lease, std::int64_t length) {
  const Sequence& sequence = *lease.sequence;
  if (options_.keep_prefixes)
    tree_.share(sequence.salt, std::span(sequence.tokens).first(static_cast<std::size_t>(length)),
                lease.memory);
  if (length >= sequence.prompt_length) leave_computing(lease);
}

void CacheLedger::release(std::unique_ptr<Lease> lease) {
  SequenceLease& last = sequence_lease(*lease);
  leave_computing(last);
  --open_;
  Sequence& sequence = *last.sequence;
  if (!options_.keep_prefixes || !sequence.keeps_memory) return;
  // With overlap a step may have run the token that ended the answer, never one after it; guesses
  // that were computed and not used are forgotten.
  SequenceMemory memory = std::move(last.memory);
  memory.rewind(std::min(memory.length(), std::ssize(sequence.tokens)));
  const auto held = static_cast<std::size_t>(memory.length());
  tree_.keep(sequence.salt, std::span(sequence.tokens).first(held), std::move(memory));
}

}  // namespace millrace
