#include "ops/case_instance.h"
#include "ops/case_tables.h"
#include "ops/packed_linear/packed_linear.h"
#include "ops/packed_linear/packing.h"

namespace millrace {
namespace {

struct Sizes {
  DType dtype;
  std::int64_t n, k, rows;
  bool bias = false;
  bool residual = false;  // and out is the residual
  bool full_size = false;
};

class PackedLinearInstance final : public CaseInstance<PackedLinear> {
 public:
  PackedLinearInstance(const Sizes& s, DType activation)
      : CaseInstance(activation),
        s_(s),
        copies_(s.full_size && s.rows <= 16 ? copies_beyond_cache(bytes_of(s.dtype, s.n * s.k))
                                            : 1),
        weight_(random_, s.dtype, s.n, s.k, 1.0f, copies_),
        packed_bytes_(packed_bytes(s.dtype, s.n, s.k)),
        panels_(static_cast<std::size_t>(packed_bytes_ * copies_)),
        in_(random_activations(random_, s.rows * in_stride(), 1.0f)),
        bias_(random_floats(random_, s.n, 1.0f)),
        residual_(random_floats(random_, s.rows * out_stride(), 1.0f)),
        out_(residual_) {
    ThreadPool pool(available_cores());
    for (std::int64_t copy = 0; copy < copies_; ++copy)
      pack_matrix(weight_.view(copy), panels_.as<std::byte>() + copy * packed_bytes_, pool);
  }

 protected:
  PackedLinear::Key key() const override { return {s_.dtype, activation(), s_.n, s_.k}; }
  PackedLinearParams params(std::int64_t run) override {
    const MatrixView out = {out_.data(), s_.n, out_stride(), DType::F32};
    const std::byte* panels = panels_.as<std::byte>() + run % copies_ * packed_bytes_;
    return {.in = {in_.data(), s_.k, in_stride(), DType::F32},
            .weight = {panels, s_.dtype, s_.n, s_.k},
            .bias = s_.bias ? bias_.data() : nullptr,
            .residual = s_.residual ? out : MatrixView{},
            .out = out,
            .rows = s_.rows};
  }
  // The op has kernels for the CPU alone, which work where the case lies.
  std::vector<CaseMemory> memory() override { return {read_memory(in_), written_memory(out_)}; }
  void relocate(PackedLinearParams& p, const CaseImageCopy& image) override {
    image.move(p.in, p.residual, p.out);
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
  // The row's rounding, and that of the sum in float.
  std::vector<double> tolerance(std::size_t) const override {
    std::vector<double> allowed(out_.size(), 0.0);
    for (std::int64_t j = 0; j < s_.n; ++j) {
      const std::vector<float> row = weight_.row(j);
      for (std::int64_t t = 0; t < s_.rows; ++t) {
        double size = (s_.bias ? std::abs(bias_[static_cast<std::size_t>(j)]) : 0) +
                      std::abs(residual_[static_cast<std::size_t>(t * out_stride() + j)]);
        double rounded = 0;
        for (std::int64_t from = 0; from < s_.k; from += 32) {
          double weights = 0;
          double products = 0;
          double largest = 0;
          for (std::int64_t i = from; i < std::min(s_.k, from + 32); ++i) {
            const double w = std::abs(double{row[static_cast<std::size_t>(i)]});
            const double x = std::abs(double{in_[static_cast<std::size_t>(t * in_stride() + i)]});
            weights += w;
            products += w * x;
            largest = std::max(largest, x);
          }
          size += products;
          rounded += s_.dtype == DType::BF16 ? products * kNarrowRounding
                                             : weights * largest / 254 * 1.0001;
        }
        // A K-quant's minimum and scale are rounded before they are used; a lane adds k terms.
        const double roundings = static_cast<double>(s_.k) + 8;
        allowed[static_cast<std::size_t>(t * out_stride() + j)] =
            rounded + 2 * size * roundings * kRounding;
      }
    }
    return allowed;
  }

 private:
  std::int64_t in_stride() const { return case_stride(s_.k); }
  std::int64_t out_stride() const { return case_stride(s_.n); }

  Sizes s_;
  CaseRandom random_{15};
  std::int64_t copies_;
  CaseWeight weight_;
  std::int64_t packed_bytes_;
  Buffer panels_;
  std::vector<float> in_, bias_, residual_, out_;
};

}  // namespace

std::vector<OpCase> packed_linear_cases() {
  std::vector<Sizes> sizes;
  // Tails of k, of panels and of every kind of tile.
  sizes.push_back({DType::BF16, 1, 1, 1});
  sizes.push_back({DType::BF16, 7, 133, 9, false, true});
  sizes.push_back({DType::BF16, 66, 160, 5, true, true});
  sizes.push_back({DType::BF16, 131, 2049, 29, true, true});
  for (const DType dtype : {DType::Q8_0, DType::Q4_0, DType::Q4_1, DType::Q5_0, DType::Q5_1}) {
    sizes.push_back({dtype, 3, 32, 1});
    sizes.push_back({dtype, 70, 1056, 3, true, true});
    sizes.push_back({dtype, 150, 544, 17});
  }
  for (const DType dtype : {DType::Q4_K, DType::Q5_K, DType::Q6_K}) {
    sizes.push_back({dtype, 3, 256, 1});
    sizes.push_back({dtype, 70, 1280, 3, true, true});
    sizes.push_back({dtype, 150, 768, 17});
  }
  // LFM2-1.2B: the projections of a conv block, w1 and w3, w2, the head.
  const auto full = [&](DType dtype, std::int64_t n, std::int64_t k, std::int64_t rows) {
    sizes.push_back({dtype, n, k, rows, false, false, true});
  };
  for (const DType dtype : {DType::BF16, DType::Q8_0, DType::Q4_0, DType::Q4_K, DType::Q6_K}) {
    for (const std::int64_t rows : {1, 2, 8, 32, 512}) full(dtype, 8192, 2048, rows);
    for (const std::int64_t rows : {1, 512}) full(dtype, 2048, 8192, rows);
  }
  for (const DType dtype : {DType::Q4_1, DType::Q5_0, DType::Q5_1, DType::Q5_K})
    for (const std::int64_t rows : {1, 512}) full(dtype, 8192, 2048, rows);
  full(DType::Q6_K, 65536, 2048, 1);
  std::vector<OpCase> cases;
  for (const Sizes& s : sizes)
    cases.push_back(
        {fmt::format("{} [{}, {}], {} row{}{}{}", to_string(s.dtype), s.n, s.k, s.rows,
                     s.rows == 1 ? "" : "s", s.bias ? ", bias" : "",
                     s.residual ? ", residual" : ""),
         fmt::format("{} weight", to_string(s.dtype)), s.full_size,
         static_cast<double>(bytes_of(s.dtype, s.n * s.k)),
         static_cast<double>(s.rows * (s.n + s.k)), 2.0 * static_cast<double>(s.n * s.k * s.rows),
         [s](DType activation) { return std::make_unique<PackedLinearInstance>(s, activation); }});
  return cases;
}

}  // namespace millrace
