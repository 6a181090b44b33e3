#include "cache/id_pool.h"

#include "base/check.h"

namespace millrace {

IdRef::~IdRef() {
  if (pool_) pool_->drop(id_);
}

bool IdRef::is_shared() const {
  return pool_->references_[static_cast<std::size_t>(id_)] > 1;
}

IdRef IdRef::share() const {
  pool_->add(id_);
  return {pool_, id_};
}

IdPool::IdPool(std::int32_t count) : references_(static_cast<std::size_t>(count), 0) {
  free_.reserve(static_cast<std::size_t>(count));
  for (std::int32_t id = count; id-- > 0;) free_.push_back(id);
}

IdPool::~IdPool() {
  check(free_count() == count(), "a cache pool is destroyed while references are out");
}

std::optional<IdRef> IdPool::take() {
  if (free_.empty()) return std::nullopt;
  const std::int32_t id = free_.back();
  free_.pop_back();
  references_[static_cast<std::size_t>(id)] = 1;
  return IdRef(this, id);
}

void IdPool::add(std::int32_t id) {
  if (++references_[static_cast<std::size_t>(id)] == 2) ++shared_;
}

void IdPool::drop(std::int32_t id) {
  std::int32_t& references = references_[static_cast<std::size_t>(id)];
  check(references > 0, "a cache id is dropped more often than taken");
  if (--references == 1) --shared_;
  if (references > 0) return;
  if (on_free_) on_free_(id);
  free_.push_back(id);
}

}  // namespace millrace
