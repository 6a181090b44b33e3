#include "ops/case_instance.h"
#include "ops/case_tables.h"
#include "ops/linear_norm/linear_norm.h"

namespace millrace {
namespace {

struct Sizes {
  std::int64_t n, k, rows;
  bool full_size = false;
};

class LinearNormInstance final : public CaseInstance<LinearNorm> {
 public:
  LinearNormInstance(const Sizes& s, DType activation)
      : CaseInstance(activation),
        s_(s),
        copies_(s.full_size ? copies_beyond_cache(bytes_of(DType::BF16, s.n * s.k)) : 1),
        weight_(random_, DType::BF16, s.n, s.k, 1.0f, copies_),
        in_(random_activations(random_, s.rows * in_stride(), 1.0f)),
        residual_(random_floats(random_, s.rows * out_stride(), 2.0f)),
        norm_weight_(random_floats(random_, s.n, 1.5f)),
        out_(residual_) {}

 protected:
  LinearNorm::Key key() const override { return {DType::BF16, activation(), s_.n, s_.k, s_.rows}; }
  LinearNormParams params(std::int64_t run) override {
    return {.in = {in_.data(), s_.k, in_stride(), DType::F32},
            .weight = weight_.view(run % copies_),
            .out = {out_.data(), s_.n, out_stride(), DType::F32},
            .rows = s_.rows,
            .norm_weight = norm_weight_.data(),
            .scratch = scratch_.view()};
  }
  std::vector<CaseMemory> memory() override {
    return {as_activation(read_memory(in_)),
            weight_.memory(),
            written_memory(out_),
            read_memory(norm_weight_),
            written_memory(scratch_.rows),
            written_memory(scratch_.squares)};
  }
  void relocate(LinearNormParams& p, const CaseImageCopy& image) override {
    image.move(p.in, p.weight, p.out, p.norm_weight, p.scratch.rows, p.scratch.squares);
  }
  void reset() override {
    poison(out_.data(), static_cast<std::int64_t>(out_.size()));
    for (std::int64_t t = 0; t < s_.rows; ++t)
      std::copy_n(residual_.data() + t * out_stride(), s_.n, out_.data() + t * out_stride());
    poison(scratch_.rows.data(), DType::BF16, static_cast<std::int64_t>(scratch_.rows.size()));
    poison(scratch_.squares.data(), static_cast<std::int64_t>(scratch_.squares.size()));
  }
  std::vector<CaseOutput> outputs() const override {
    const auto count = [](const auto& values) { return static_cast<std::int64_t>(values.size()); };
    return {{"out", out_.data(), DType::F32, count(out_), count(out_) - s_.rows * s_.n},
            {"rows", scratch_.rows.data(), DType::BF16, count(scratch_.rows), 0},
            {"squares", scratch_.squares.data(), DType::F32, count(scratch_.squares), 0}};
  }
  // Errors of out go on into what is made of it.
  std::vector<double> tolerance(std::size_t output) const override {
    std::vector<double> allowed(output == 0   ? out_.size()
                                : output == 1 ? scratch_.rows.size()
                                              : scratch_.squares.size(),
                                0.0);
    for (std::int64_t j = 0; j < s_.n; ++j) {
      const std::vector<float> weights = weight_.row(j);
      const double scale = std::abs(double{norm_weight_[static_cast<std::size_t>(j)]});
      for (std::int64_t t = 0; t < s_.rows; ++t) {
        const auto at = static_cast<std::size_t>(t * out_stride() + j);
        double size = std::abs(double{residual_[at]});
        for (std::int64_t i = 0; i < s_.k; ++i)
          size += std::abs(double{weights[static_cast<std::size_t>(i)]} *
                           in_[static_cast<std::size_t>(t * in_stride() + i)]);
        const double error = size * product_roundings(s_.k) * kRounding;
        const double value = std::abs(double{out_[at]});  // the reference has just run
        if (output == 0)
          allowed[at] = error;
        else if (output == 1)
          allowed[static_cast<std::size_t>(t * s_.n + j)] =
              error * scale + kNarrowRounding * (value + error) * scale + 0x1p-134;
        else
          allowed[static_cast<std::size_t>(t * norm_squares(s_.n) + j / kSquaresColumns)] +=
              2 * value * error + error * error + 16 * kRounding * value * value;
      }
    }
    return allowed;
  }

 private:
  std::int64_t in_stride() const { return case_stride(s_.k); }
  std::int64_t out_stride() const { return case_stride(s_.n); }

  Sizes s_;
  CaseRandom random_{23};
  std::int64_t copies_;
  CaseWeight weight_;
  std::vector<float> in_, residual_, norm_weight_, out_;
  CaseNormScratch scratch_{s_.rows, s_.n};
};

}  // namespace

std::vector<OpCase> linear_norm_cases() {
  // One part of k and several, with a rest of everything.
  std::vector<Sizes> sizes = {{8, 32, 9},     {200, 2120, 9}, {72, 1096, 31},
                              {328, 520, 16}, {64, 64, 32},   {1024, 1024, 17}};
  // LFM2-1.2B: out_proj, w2.
  for (const std::int64_t rows : {16, 32}) {
    sizes.push_back({2048, 2048, rows, true});
    sizes.push_back({2048, 8192, rows, true});
  }
  std::vector<OpCase> cases;
  for (const Sizes& s : sizes)
    cases.push_back(
        {fmt::format("[{}, {}], {} rows", s.n, s.k, s.rows), "BF16 weight", s.full_size,
         static_cast<double>(bytes_of(DType::BF16, s.n * s.k) + s.rows * s.n * 10),
         static_cast<double>(s.rows * s.k), 2.0 * static_cast<double>(s.n * s.k * s.rows),
         [s](DType activation) { return std::make_unique<LinearNormInstance>(s, activation); }});
  return cases;
}

}  // namespace millrace
