// One sequence's memory, KV and conv state as one thing (design.md 4).
//
//   positions   0 ........................ length
//   KV          [ valid, in blocks         )            freed block by block on rewind
//   conv ring         [ conv_first .. conv_end )        the last columns of v, exact in all layers
//
// The next token can be computed when the K-1 columns before `length` are in the ring. After a
// rewind further than the ring reaches back they are not; then the last replay_count() tokens run
// once more over the cached KV (spec 4.6), and the state is exact again.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cache/cache_storage.h"

namespace millrace {

class SequenceMemory {
 public:
  // Takes a slot; nothing when all are in use. max_tokens bounds the block table, so that growing
  // it later never allocates. `storage` must outlive the memory.
  static std::optional<SequenceMemory> open(CacheStorage& storage, std::int64_t max_tokens);

  std::int64_t length() const { return length_; }
  std::int32_t slot() const { return slot_.id(); }
  std::span<const std::int32_t> block_ids() const { return block_ids_; }
  // Changes whenever block_ids() does; unlike any other sequence's.
  std::uint64_t table_version() const { return table_version_; }

  // Makes room for positions up to `length() + count`; false, with nothing changed but perhaps
  // more blocks held, when the pool or max_tokens is exhausted.
  bool reserve(std::int64_t count);

  // Tokens that must be replayed, from position length() - replay_count(), before the sequence
  // can go on; 0 when the conv state is there.
  std::int64_t replay_count() const;
  // First position whose columns the next span may read; earlier ones count as zero.
  std::int64_t conv_from() const { return replay_count() == 0 ? 0 : length_ - replay_count(); }

  // A step has run the replay / has appended `count` tokens.
  void replayed();
  void appended(std::int64_t count);

  // Forgets everything from position `length` on. Blocks wholly beyond it are given back.
  void rewind(std::int64_t length);

  // Blocks still needed to hold `tokens` positions.
  std::int64_t missing_blocks(std::int64_t tokens) const;

 private:
  SequenceMemory(CacheStorage& storage, IdRef slot, std::int64_t max_tokens);

  CacheStorage* storage_;
  IdRef slot_;
  std::vector<IdRef> blocks_;
  std::vector<std::int32_t> block_ids_;  // of blocks_, as kernels read them
  std::uint64_t table_version_;
  std::int64_t max_tokens_;
  std::int64_t length_ = 0;
  std::int64_t conv_first_ = 0;  // columns [conv_first_, conv_end_) are in the ring and exact
  std::int64_t conv_end_ = 0;
};

}  // namespace millrace
