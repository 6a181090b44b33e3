#include "cache/sequence_memory.h"

#include <algorithm>

#include "base/check.h"

namespace millrace {

std::optional<SequenceMemory> SequenceMemory::open(CacheStorage& storage, std::int64_t max_tokens) {
  std::optional<IdRef> slot = storage.slots().take();
  if (!slot) return std::nullopt;
  return SequenceMemory(storage, std::move(*slot), max_tokens);
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

bool SequenceMemory::reserve(std::int64_t count) {
  if (length_ + count > max_tokens_) return false;
  for (std::int64_t missing = missing_blocks(length_ + count); missing > 0; --missing) {
    std::optional<IdRef> block = storage_->blocks().take();
    if (!block) return false;
    block_ids_.push_back(block->id());
    table_version_ = storage_->next_table_version();
    blocks_.push_back(std::move(*block));
  }
  return true;
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
  length_ += count;
  check(missing_blocks(length_) == 0, "tokens appended beyond the reserved blocks");
  conv_end_ = length_;
  conv_first_ = std::max(conv_first_, length_ - storage_->geometry().ring());
}

void SequenceMemory::rewind(std::int64_t length) {
  check(length >= 0 && length <= length_, "a sequence can only be rewound to its past");
  length_ = length;
  const std::int64_t size = storage_->geometry().block_tokens;
  const auto kept = static_cast<std::size_t>((length + size - 1) / size);
  if (blocks_.size() > kept) {
    blocks_.resize(kept);
    block_ids_.resize(kept);
    table_version_ = storage_->next_table_version();
  }
  // Columns beyond the new end will be written again before anyone reads them. A window that
  // ends before it begins holds nothing and makes replay_count() ask for a replay.
  conv_end_ = std::min(conv_end_, length);
  if (length == 0) conv_first_ = 0;  // the zero state of an empty sequence is always right
}

}  // namespace millrace
