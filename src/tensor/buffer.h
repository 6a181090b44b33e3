// Owned host memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace millrace {

// Anonymous, zero-filled, 64-byte aligned memory in huge pages where the kernel grants them.
// Pages are committed when first touched, so a large cache costs what is used of it.
// Throws std::bad_alloc when the address space is refused.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t bytes);
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer();

  std::size_t size() const { return size_; }
  template <typename T>
  T* as() {
    return static_cast<T*>(data_);
  }
  template <typename T>
  const T* as() const {
    return static_cast<const T*>(data_);
  }
  template <typename T>
  std::span<T> span_of() {
    return {as<T>(), size_ / sizeof(T)};
  }

 private:
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace millrace
