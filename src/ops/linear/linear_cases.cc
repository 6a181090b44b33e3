#include "ops/case_instance.h"
#include "ops/case_tables.h"
#include "ops/linear/linear.h"

namespace millrace {
namespace {

struct Sizes {
  DType dtype;
  std::int64_t n, k, rows;
  bool bias = false;
  bool residual = false;  // and out is the residual
  bool full_size = false;
  bool wide = false;  // F32 out whatever the activations are: logits
};

class LinearInstance final : public CaseInstance<Linear> {
 public:
  LinearInstance(const Sizes& s, DType activation)
      : CaseInstance(activation),
        s_(s),
        copies_(s.full_size && s.rows <= 16 ? copies_beyond_cache(bytes_of(s.dtype, s.n * s.k))
                                            : 1),
        weight_(random_, s.dtype, s.n, s.k, 1.0f, copies_),
        in_(random_activations(random_, s.rows * in_stride(), 1.0f)),
        bias_(random_floats(random_, s.n, 1.0f)),
        residual_(random_floats(random_, s.rows * out_stride(), 1.0f)),
        out_(residual_) {}

 protected:
  Linear::Key key() const override { return {s_.dtype, activation(), s_.n, s_.k}; }
  LinearParams params(std::int64_t run) override {
    const MatrixView out = {out_.data(), s_.n, out_stride(), DType::F32};
    return {.in = {in_.data(), s_.k, in_stride(), DType::F32},
            .weight = weight_.view(run % copies_),
            .bias = s_.bias ? bias_.data() : nullptr,
            .residual = s_.residual ? out : MatrixView{},
            .out = out,
            .rows = s_.rows};
  }
  std::vector<CaseMemory> memory() override {
    // The residual stream is F32 whatever the activations are.
    const CaseMemory out = written_memory(out_);
    return {as_activation(read_memory(in_)), weight_.memory(), read_memory(bias_),
            s_.residual || s_.wide ? out : as_activation(out)};
  }
  void relocate(LinearParams& p, const CaseImageCopy& image) override {
    image.move(p.in, p.weight, p.bias, p.residual, p.out);
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
        double size = (s_.bias ? std::abs(bias_[static_cast<std::size_t>(j)]) : 0) +
                      std::abs(residual_[static_cast<std::size_t>(t * out_stride() + j)]);
        for (std::int64_t i = 0; i < s_.k; ++i)
          size += std::abs(double{row[static_cast<std::size_t>(i)]} *
                           in_[static_cast<std::size_t>(t * in_stride() + i)]);
        allowed[static_cast<std::size_t>(t * out_stride() + j)] =
            size * product_roundings(s_.k) * kRounding;
      }
    }
    return allowed;
  }

 private:
  std::int64_t in_stride() const { return case_stride(s_.k); }
  std::int64_t out_stride() const { return case_stride(s_.n); }

  Sizes s_;
  CaseRandom random_{14};
  std::int64_t copies_;
  CaseWeight weight_;
  std::vector<float> in_, bias_, residual_, out_;
};

}  // namespace

std::vector<OpCase> linear_cases() {
  std::vector<Sizes> sizes;
  for (const DType dtype : {DType::F32, DType::F16, DType::BF16}) {
    // Tails of every kind: lanes, pieces, chunks of k; tiles of n and of rows.
    sizes.push_back({dtype, 1, 1, 1});
    sizes.push_back({dtype, 5, 3, 2, true});
    sizes.push_back({dtype, 7, 133, 9, false, true});
    sizes.push_back({dtype, 66, 160, 5, true, true});
    sizes.push_back({dtype, 70, 1031, 1});
    sizes.push_back({dtype, 131, 2049, 13, true, true});
    sizes.push_back({dtype, 128, 512, 17, true});
    sizes.push_back({dtype, 72, 264, 3, false, false, false, true});
    // Steps of 32 and tiles of 8, one to four a group on GPUs of up to 132 multiprocessors; k
    // within one stage of loads and beyond.
    sizes.push_back({dtype, 8, 32, 1, true});
    sizes.push_back({dtype, 96, 96, 16, false, true});
    sizes.push_back({dtype, 136, 2592, 9});
    sizes.push_back({dtype, 2112, 64, 2, true});
    sizes.push_back({dtype, 3168, 32, 11, true, true});
    sizes.push_back({dtype, 4224, 544, 1});
  }
  // Tiles of 64 and of 128 rows and columns, where four multiprocessors shall have one each;
  // several steps of k, and a rest of everything.
  sizes.push_back({DType::BF16, 200, 264, 40, true});
  sizes.push_back({DType::BF16, 520, 352, 40, false, true});
  for (const DType dtype : {DType::Q8_0, DType::Q4_0, DType::Q4_1, DType::Q5_0, DType::Q5_1}) {
    sizes.push_back({dtype, 3, 32, 1});
    sizes.push_back({dtype, 70, 1056, 3, true, true});
    sizes.push_back({dtype, 37, 2112, 8});
  }
  for (const DType dtype : {DType::Q4_K, DType::Q5_K, DType::Q6_K}) {
    sizes.push_back({dtype, 3, 256, 1});
    sizes.push_back({dtype, 70, 1280, 3, true, true});
    sizes.push_back({dtype, 37, 2304, 8});
  }
  const auto full = [&](DType dtype, std::int64_t n, std::int64_t k, std::int64_t rows) {
    sizes.push_back({dtype, n, k, rows, false, false, true});
  };
  // LFM2-1.2B: the projections of a conv block, w1 and w3, w2, the head.
  for (const DType dtype : {DType::BF16, DType::Q8_0, DType::Q4_0, DType::Q4_K, DType::Q6_K}) {
    full(dtype, 6144, 2048, 1);
    full(dtype, 8192, 2048, 1);
    full(dtype, 2048, 8192, 1);
  }
  for (const DType dtype : {DType::BF16, DType::Q6_K}) full(dtype, 65536, 2048, 1);
  for (const DType dtype :
       {DType::F32, DType::F16, DType::Q4_1, DType::Q5_0, DType::Q5_1, DType::Q5_K})
    full(dtype, 8192, 2048, 1);
  for (const std::int64_t rows : {2, 3, 4, 8, 16, 64}) full(DType::BF16, 8192, 2048, rows);
  for (const std::int64_t rows : {4, 16}) full(DType::Q4_0, 8192, 2048, rows);
  for (const DType dtype : {DType::BF16, DType::Q8_0, DType::Q4_0, DType::Q4_K, DType::Q6_K}) {
    full(dtype, 8192, 2048, 512);
    full(dtype, 2048, 8192, 512);
  }
  std::vector<OpCase> cases;
  for (const Sizes& s : sizes)
    cases.push_back(
        {fmt::format("{} [{}, {}], {} row{}{}{}", to_string(s.dtype), s.n, s.k, s.rows,
                     s.rows == 1 ? "" : "s", s.bias ? ", bias" : "",
                     s.residual ? ", residual"
                     : s.wide   ? ", F32 out"
                                : ""),
         fmt::format("{} weight", to_string(s.dtype)), s.full_size,
         static_cast<double>(bytes_of(s.dtype, s.n * s.k)),
         static_cast<double>(s.rows * (s.n + s.k)), 2.0 * static_cast<double>(s.n * s.k * s.rows),
         [s](DType activation) { return std::make_unique<LinearInstance>(s, activation); }});
  return cases;
}

}  // namespace millrace
