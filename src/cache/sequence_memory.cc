#include "cache/sequence_memory.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace millrace {

bool ConvState::serves(std::int64_t length, int taps) const {
  return end >= length && first <= std::max<std::int64_t>(0, length - (taps - 1));
}

std::optional<SequenceMemory> SequenceMemory::open(CacheStorage& storage, std::int64_t max_tokens,
                                                   SharedPrefix prefix) {
  std::optional<IdRef> slot;
  if (prefix.conv)
    slot = std::move(prefix.conv->slot);
  else
    slot = storage.slots().take();
  if (!slot) return std::nullopt;
  SequenceMemory memory(storage, std::move(*slot), max_tokens);
  check(memory.missing_blocks(prefix.length) == std::ssize(prefix.blocks),
        "a prefix needs blocks for each of its positions");
  for (IdRef& block : prefix.blocks) {
    memory.block_ids_.push_back(block.id());
    memory.blocks_.push_back(std::move(block));
  }
  memory.length_ = prefix.length;
  if (prefix.conv) {
    memory.conv_first_ = prefix.conv->first;
    memory.conv_end_ = std::min(prefix.conv->end, prefix.length);
  }
  return memory;
}

SequenceMemory::SequenceMemory(CacheStorage& storage, IdRef slot, std::int64_t max_tokens)
    : storage_(&storage),
      slot_(std::move(slot)),
      table_version_(storage.next_table_version()),
      max_tokens_(max_tokens) {
  const auto most = static_cast<std::size_t>(missing_blocks(max_tokens));
  blocks_.reserve(most);
  block_ids_.reserve(most);
}

std::int64_t SequenceMemory::missing_blocks(std::int64_t tokens) const {
  const std::int64_t size = storage_->geometry().block_tokens;
  return std::max<std::int64_t>(
      0, (tokens + size - 1) / size - static_cast<std::int64_t>(blocks_.size()));
}

std::int64_t SequenceMemory::blocks_to_reserve(std::int64_t count) const {
  const bool copies =
      count > 0 && length_ % storage_->geometry().block_tokens != 0 && blocks_.back().is_shared();
  return missing_blocks(length_ + count) + (copies ? 1 : 0);
}

void SequenceMemory::set_block(std::size_t index, IdRef block) {
  block_ids_[index] = block.id();
  blocks_[index] = std::move(block);
  table_version_ = storage_->next_table_version();
}

bool SequenceMemory::reserve(std::int64_t count) {
  if (length_ + count > max_tokens_) return false;
  const std::int64_t size = storage_->geometry().block_tokens;
  // The block that the end lies within: nobody else may see what is written there.
  const auto last = static_cast<std::size_t>(length_ / size);
  if (count > 0 && length_ % size != 0 && blocks_[last].is_shared()) {
    std::optional<IdRef> own = storage_->blocks().take();
    if (!own) return false;
    check(!copy_, "a block that is to be copied can not be shared");
    copy_ = BlockCopy{std::move(blocks_[last]), own->id()};
    set_block(last, std::move(*own));
  }
  for (std::int64_t missing = missing_blocks(length_ + count); missing > 0; --missing) {
    std::optional<IdRef> block = storage_->blocks().take();
    if (!block) return false;
    block_ids_.push_back(block->id());
    table_version_ = storage_->next_table_version();
    blocks_.push_back(std::move(*block));
  }
  return true;
}

std::optional<BlockCopy> SequenceMemory::take_copy() {
  return std::exchange(copy_, std::nullopt);
}

std::int64_t SequenceMemory::replay_count() const {
  const std::int64_t first_needed =
      std::max<std::int64_t>(0, length_ - (storage_->geometry().taps - 1));
  const bool there = conv_end_ == length_ && conv_first_ <= first_needed;
  return there ? 0 : std::min(length_, storage_->geometry().replay_tokens());
}

void SequenceMemory::replayed() {
  const std::int64_t count = replay_count();
  conv_end_ = length_;
  // Run from position 0, every column is exact; otherwise only the last K-1 are, in every layer.
  conv_first_ = count == length_ ? std::max<std::int64_t>(0, length_ - storage_->geometry().ring())
                                 : length_ - (storage_->geometry().taps - 1);
}

void SequenceMemory::appended(std::int64_t count) {
  check(replay_count() == 0, "tokens appended to a sequence without its conv state");
  check(!copy_, "tokens appended to a block that was not copied");
  length_ += count;
  check(missing_blocks(length_) == 0, "tokens appended beyond the reserved blocks");
  conv_end_ = length_;
  conv_first_ = std::max(conv_first_, length_ - storage_->geometry().ring());
}

void SequenceMemory::restored(std::int64_t length, std::int64_t conv_first, std::int64_t conv_end) {
  check(length_ == 0 && missing_blocks(length) == 0 && conv_end <= length,
        "only an empty memory with room can be restored");
  length_ = length;
  conv_first_ = conv_first;
  conv_end_ = conv_end;
}

void SequenceMemory::rewind(std::int64_t length) {
  check(length >= 0 && length <= length_, "a sequence can only be rewound to its past");
  length_ = length;
  const std::int64_t size = storage_->geometry().block_tokens;
  const auto kept = static_cast<std::size_t>((length + size - 1) / size);
  if (blocks_.size() > kept) {
    const auto dropped = block_ids_.begin() + static_cast<std::ptrdiff_t>(kept);
    if (copy_ && std::find(dropped, block_ids_.end(), copy_->to) != block_ids_.end()) copy_.reset();
    blocks_.resize(kept);
    block_ids_.resize(kept);
    table_version_ = storage_->next_table_version();
  }
  // Columns beyond the new end will be written again before anyone reads them. A window that
  // ends before it begins holds nothing and makes replay_count() ask for a replay.
  conv_end_ = std::min(conv_end_, length);
  if (length == 0) conv_first_ = 0;  // the zero state of an empty sequence is always right
}

IdRef SequenceMemory::share_block(std::int64_t index) const {
  return blocks_[static_cast<std::size_t>(index)].share();
}

void SequenceMemory::adopt_block(std::int64_t index, IdRef block) {
  check((index + 1) * storage_->geometry().block_tokens <= length_,
        "only a block that is full can be another's");
  set_block(static_cast<std::size_t>(index), std::move(block));
}

std::optional<ConvState> SequenceMemory::take_conv_state() {
  if (length_ == 0 || replay_count() > 0) return std::nullopt;
  return ConvState{std::move(slot_), conv_first_, conv_end_};
}

}  // namespace millrace
