// Ids with reference counts: KV blocks and conv slots are handed out through these.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

namespace millrace {

class IdPool;

// One reference to an id; giving it up returns the id to its pool when it was the last.
// The pool must outlive its references: its destructor aborts if one is left.
class IdRef {
 public:
  IdRef() = default;
  IdRef(IdRef&& other) noexcept
      : pool_(std::exchange(other.pool_, nullptr)), id_(std::exchange(other.id_, -1)) {}
  IdRef& operator=(IdRef&& other) noexcept {
    std::swap(pool_, other.pool_);
    std::swap(id_, other.id_);
    return *this;
  }
  IdRef(const IdRef&) = delete;
  IdRef& operator=(const IdRef&) = delete;
  ~IdRef();

  explicit operator bool() const { return pool_ != nullptr; }
  std::int32_t id() const { return id_; }
  bool is_shared() const;
  // A second reference to the same id.
  IdRef share() const;

 private:
  friend class IdPool;
  IdRef(IdPool* pool, std::int32_t id) : pool_(pool), id_(id) {}

  IdPool* pool_ = nullptr;
  std::int32_t id_ = -1;
};

// Ids [0, count). Never allocates after construction. Not thread-safe: the step thread owns it.
class IdPool {
 public:
  explicit IdPool(std::int32_t count);
  ~IdPool();  // aborts if any reference is still out
  IdPool(const IdPool&) = delete;
  IdPool& operator=(const IdPool&) = delete;

  std::int32_t count() const { return static_cast<std::int32_t>(references_.size()); }
  std::int32_t free_count() const { return static_cast<std::int32_t>(free_.size()); }
  // Ids with more than one reference.
  std::int32_t shared_count() const { return shared_; }

  // Nothing when all are in use. Ids come back last-freed first, while still warm.
  std::optional<IdRef> take();

  // Called with each id that comes back, before anybody can take it again.
  void on_free(std::function<void(std::int32_t)> call) { on_free_ = std::move(call); }

 private:
  friend class IdRef;
  void add(std::int32_t id);
  void drop(std::int32_t id);

  std::vector<std::int32_t> references_;  // by id
  std::vector<std::int32_t> free_;
  std::int32_t shared_ = 0;
  std::function<void(std::int32_t)> on_free_;
};

}  // namespace millrace
