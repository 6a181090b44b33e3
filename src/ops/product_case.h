// What the cases of products of rows with one matrix share: operands, outputs, counted work.
#pragma once

#include <fmt/format.h>

#include "ops/case_instance.h"

namespace millrace {

struct ProductSizes {
  DType dtype;  // of the matrix
  std::int64_t n, k, rows;
  bool bias = false;
  bool residual = false;  // and out is the residual
  bool full_size = false;
  bool wide = false;  // F32 out whatever the activations are: logits
};

// A case of an op whose Params have in, bias, residual, out and rows.
template <typename Op>
class ProductCase : public CaseInstance<Op> {
 public:
  ProductCase(const ProductSizes& sizes, DType activation, std::uint64_t seed)
      : CaseInstance<Op>(activation),
        s_(sizes),
        random_(seed),
        copies_(s_.full_size && s_.rows <= 16 ? copies_beyond_cache(bytes_of(s_.dtype, s_.n * s_.k))
                                              : 1),
        weight_(random_, s_.dtype, s_.n, s_.k, 1.0f, copies_),
        in_(this->random_activations(random_, s_.rows * in_stride(), 1.0f)),
        bias_(random_floats(random_, s_.n, 1.0f)),
        residual_(random_floats(random_, s_.rows * out_stride(), 1.0f)),
        out_(residual_) {}

 protected:
  typename Op::Key key() const override { return {s_.dtype, this->activation(), s_.n, s_.k}; }
  // All but the weight.
  typename Op::Params operands() {
    const MatrixView out = {out_.data(), s_.n, out_stride(), DType::F32};
    typename Op::Params p = {};
    p.in = {in_.data(), s_.k, in_stride(), DType::F32};
    p.bias = s_.bias ? bias_.data() : nullptr;
    p.residual = s_.residual ? out : MatrixView{};
    p.out = out;
    p.rows = s_.rows;
    return p;
  }
  void reset() override {
    poison(out_.data(), static_cast<std::int64_t>(out_.size()));
    for (std::int64_t t = 0; s_.residual && t < s_.rows; ++t)
      std::copy_n(residual_.data() + t * out_stride(), s_.n, out_.data() + t * out_stride());
  }
  std::vector<CaseOutput> outputs() const override {
    const auto count = static_cast<std::int64_t>(out_.size());
    return {{"out", out_.data(), DType::F32, count, count - s_.rows * s_.n}};
  }
  std::vector<double> tolerance(std::size_t) const override {
    std::vector<double> allowed(out_.size(), 0.0);
    for (std::int64_t j = 0; j < s_.n; ++j) {
      const std::vector<float> row = weight_.row(j);
      for (std::int64_t t = 0; t < s_.rows; ++t) {
        const auto at = static_cast<std::size_t>(t * out_stride() + j);
        const double added =
            (s_.bias ? std::abs(bias_[static_cast<std::size_t>(j)]) : 0) + std::abs(residual_[at]);
        allowed[at] = allowed_error(row.data(), in_.data() + t * in_stride(), added);
      }
    }
    return allowed;
  }
  // Of one element: its row of weights [k], its input [k], the size of what is added to the sum.
  virtual double allowed_error(const float* weights, const float* in, double added) const = 0;

  std::int64_t in_stride() const { return case_stride(s_.k); }
  std::int64_t out_stride() const { return case_stride(s_.n); }

  ProductSizes s_;
  CaseRandom random_;
  std::int64_t copies_;  // of the matrix, so that none comes from a cache
  CaseWeight weight_;
  std::vector<float> in_, bias_, residual_, out_;
};

template <typename Instance>
std::vector<OpCase> product_cases(const std::vector<ProductSizes>& sizes) {
  std::vector<OpCase> cases;
  for (const ProductSizes& s : sizes)
    cases.push_back({fmt::format("{} [{}, {}], {} row{}{}{}", to_string(s.dtype), s.n, s.k, s.rows,
                                 s.rows == 1 ? "" : "s", s.bias ? ", bias" : "",
                                 s.residual ? ", residual"
                                 : s.wide   ? ", F32 out"
                                            : ""),
                     fmt::format("{} weight", to_string(s.dtype)), s.full_size,
                     static_cast<double>(bytes_of(s.dtype, s.n * s.k)),
                     static_cast<double>(s.rows * (s.n + s.k)),
                     2.0 * static_cast<double>(s.n * s.k * s.rows),
                     [s](DType activation) { return std::make_unique<Instance>(s, activation); }});
  return cases;
}

}  // namespace millrace
