// Shapes and borrowed tensors.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "base/check.h"
#include "tensor/dtype.h"

namespace millrace {

// Up to four dimensions, slowest first, row-major and contiguous.
class Shape {
 public:
  static constexpr int kMaxRank = 4;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> dims);
  explicit Shape(std::span<const std::int64_t> dims);

  int rank() const { return rank_; }
  std::int64_t operator[](int i) const { return dims_[static_cast<std::size_t>(i)]; }
  std::int64_t elements() const;
  // Elements of everything but the last dimension: rows of a matrix, however it is stacked.
  std::int64_t rows() const { return rank_ == 0 ? 1 : elements() / (*this)[rank_ - 1]; }
  std::int64_t columns() const { return rank_ == 0 ? 1 : (*this)[rank_ - 1]; }

  bool operator==(const Shape& other) const = default;

 private:
  int rank_ = 0;
  std::array<std::int64_t, kMaxRank> dims_ = {};
};

// "[2048, 6144]"
std::string to_string(const Shape& shape);

// Borrows memory that someone else owns and keeps alive; read-only (weights).
struct TensorView {
  const void* data = nullptr;
  DType dtype = DType::F32;
  Shape shape;

  explicit operator bool() const { return data != nullptr; }
  std::int64_t bytes() const { return bytes_of(dtype, shape.elements()); }
  template <typename T>
  const T* as() const {
    return static_cast<const T*>(data);
  }
  // The i-th slice along the first dimension: one expert of a stack.
  TensorView slice(std::int64_t i) const;
};

}  // namespace millrace
