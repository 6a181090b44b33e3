#include "tensor/tensor_view.h"

#include <fmt/format.h>

namespace millrace {

Shape::Shape(std::initializer_list<std::int64_t> dims)
    : Shape(std::span<const std::int64_t>(dims.begin(), dims.size())) {}

Shape::Shape(std::span<const std::int64_t> dims) : rank_(static_cast<int>(dims.size())) {
  check(dims.size() <= kMaxRank, "a shape has at most four dimensions");
  std::size_t i = 0;
  for (const std::int64_t dim : dims) dims_[i++] = dim;
}

std::int64_t Shape::elements() const {
  std::int64_t count = 1;
  for (int i = 0; i < rank_; ++i) count *= (*this)[i];
  return count;
}

std::string to_string(const Shape& shape) {
  std::string out = "[";
  for (int i = 0; i < shape.rank(); ++i) out += fmt::format("{}{}", i ? ", " : "", shape[i]);
  return out + "]";
}

TensorView TensorView::slice(std::int64_t i) const {
  check(shape.rank() >= 2 && i >= 0 && i < shape[0], "slice outside of a stacked tensor");
  std::array<std::int64_t, Shape::kMaxRank> rest = {};
  for (int d = 1; d < shape.rank(); ++d) rest[static_cast<std::size_t>(d - 1)] = shape[d];
  const Shape inner(
      std::span<const std::int64_t>(rest.data(), static_cast<std::size_t>(shape.rank() - 1)));
  const std::int64_t stride = bytes_of(dtype, inner.elements());
  return {static_cast<const std::byte*>(data) + i * stride, dtype, inner};
}

}  // namespace millrace
