// One sequence's memory, KV and conv state as one thing (design.md 4).
//
//   positions   0 ........................ length
//   KV          [ valid, in blocks         )            freed block by block on rewind
//   conv ring         [ conv_first .. conv_end )        the last columns of v, exact in all layers
//
// The next token can be computed when the K-1 columns before `length` are in the ring. After a
// rewind further than the ring reaches back they are not; then the last replay_count() tokens run
// once more over the cached KV (spec 4.6), and the state is exact again.
//
// Blocks can be shared: with other sequences, and with a tree of prefixes. Whoever shares a block
// reads it. A sequence that is to write into one, because its end lies within, gets a copy first
// (reserve(), take_copy()).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "cache/cache_storage.h"

namespace millrace {

// The conv state of a sequence that ended: columns [first, end) are exact in the slot's rings.
struct ConvState {
  IdRef slot;
  std::int64_t first = 0;
  std::int64_t end = 0;

  // Can a sequence of this length, whose tokens are those the state was made from, go on with it?
  bool serves(std::int64_t length, int taps) const;
};

// What a sequence can begin with: the memory of others whose first tokens are its own.
struct SharedPrefix {
  std::int64_t length = 0;
  std::vector<IdRef> blocks;      // of [0, length); the last may hold more
  std::optional<ConvState> conv;  // serves `length`
};

// A block's contents that are to be copied before the sequence's next step.
struct BlockCopy {
  IdRef from;
  std::int32_t to = -1;
};

class SequenceMemory {
 public:
  // Takes a slot, unless `prefix` brings one; nothing when all are in use. max_tokens bounds the
  // block table, so that growing it later never allocates. `storage` must outlive the memory.
  static std::optional<SequenceMemory> open(CacheStorage& storage, std::int64_t max_tokens,
                                            SharedPrefix prefix = {});

  std::int64_t length() const { return length_; }
  std::int32_t slot() const { return slot_.id(); }
  std::span<const std::int32_t> block_ids() const { return block_ids_; }
  // Changes whenever block_ids() does; unlike any other sequence's.
  std::uint64_t table_version() const { return table_version_; }

  // Makes room for positions up to `length() + count`, all the sequence's own to write; false,
  // with nothing changed but perhaps more blocks held, when the pool or max_tokens is exhausted.
  bool reserve(std::int64_t count);
  // Blocks that reserve(count) has to take from the pool.
  std::int64_t blocks_to_reserve(std::int64_t count) const;

  // What reserve() asks to be copied before the next step; whoever takes it queues the copy.
  std::optional<BlockCopy> take_copy();
  bool copy_pending() const { return copy_.has_value(); }

  // Tokens that must be replayed, from position length() - replay_count(), before the sequence
  // can go on; 0 when the conv state is there.
  std::int64_t replay_count() const;
  // First position whose columns the next span may read; earlier ones count as zero.
  std::int64_t conv_from() const { return replay_count() == 0 ? 0 : length_ - replay_count(); }

  // A step has run the replay / has appended `count` tokens.
  void replayed();
  void appended(std::int64_t count);

  // Keys, values and columns [conv_first, conv_end) were written from outside, into reserved blocks
  // of a memory that held nothing.
  void restored(std::int64_t length, std::int64_t conv_first, std::int64_t conv_end);

  // Forgets everything from position `length` on. Blocks wholly beyond it are given back.
  void rewind(std::int64_t length);

  // Gives back what reserve() took and no token has filled.
  void give_back_unused() { rewind(length_); }

  // A second reference to the index-th block, which must be computed.
  IdRef share_block(std::int64_t index) const;
  // Uses another block with the same contents in the place of the index-th.
  void adopt_block(std::int64_t index, IdRef block);
  // The conv state, if it is there; the memory must not be used any more but for its blocks.
  std::optional<ConvState> take_conv_state();

 private:
  SequenceMemory(CacheStorage& storage, IdRef slot, std::int64_t max_tokens);
  std::int64_t missing_blocks(std::int64_t tokens) const;
  void set_block(std::size_t index, IdRef block);

  CacheStorage* storage_;
  IdRef slot_;
  std::vector<IdRef> blocks_;
  std::vector<std::int32_t> block_ids_;  // of blocks_, as kernels read them
  std::optional<BlockCopy> copy_;
  std::uint64_t table_version_;
  std::int64_t max_tokens_;
  std::int64_t length_ = 0;
  std::int64_t conv_first_ = 0;  // columns [conv_first_, conv_end_) are in the ring and exact
  std::int64_t conv_end_ = 0;
};

}  // namespace millrace
