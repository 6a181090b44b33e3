#include "ops/case_instance.h"
#include "ops/case_tables.h"
#include "ops/rms_norm/rms_norm.h"

namespace millrace {
namespace {

struct Sizes {
  std::int64_t columns, rows;
  bool gathers = false;
  bool in_place = false;
  bool full_size = false;
};

class RmsNormInstance final : public CaseInstance<RmsNorm> {
 public:
  RmsNormInstance(const Sizes& s, DType activation)
      : CaseInstance(activation),
        s_(s),
        in_(random_floats(random_, (s.rows + 2) * stride(), 2.0f)),
        weight_(random_floats(random_, s.columns, 1.5f)),
        out_(in_) {
    for (std::int64_t t = 0; t < s.rows; ++t)
      gather_.push_back(static_cast<std::int32_t>(random_.below(s.rows + 2)));
  }

 protected:
  RmsNorm::Key key() const override { return {activation(), s_.columns}; }
  RmsNormParams params(std::int64_t) override {
    const MatrixView out = {out_.data(), s_.columns, stride(), DType::F32};
    return {.in = in_place() ? out : MatrixView{in_.data(), s_.columns, stride(), DType::F32},
            .gather = s_.gathers ? gather_.data() : nullptr,
            .weight = weight_.data(),
            .out = out,
            .rows = s_.rows,
            .epsilon = 1e-5f};
  }
  std::vector<CaseMemory> memory() override {
    const CaseMemory out = written_memory(out_);
    return {read_memory(in_), read_memory(gather_), read_memory(weight_),
            in_place() ? out : as_activation(out)};
  }
  void relocate(RmsNormParams& p, const CaseImageCopy& image) override {
    image.move(p.in, p.gather, p.weight, p.out);
  }
  void reset() override {
    poison(out_.data(), static_cast<std::int64_t>(out_.size()));
    for (std::int64_t t = 0; in_place() && t < s_.rows; ++t)
      std::copy_n(in_.data() + t * stride(), s_.columns, out_.data() + t * stride());
  }
  std::vector<CaseOutput> outputs() const override {
    const auto count = static_cast<std::int64_t>(out_.size());
    return {{"out", out_.data(), DType::F32, count, count - s_.rows * s_.columns}};
  }
  std::vector<double> tolerance(std::size_t) const override {
    // Squares are positive: their sum is relatively as exact as its longest chain, at least four
    // lanes; half of that after the root. Then mean, epsilon, root, division, two products.
    const double relative = kRounding * (static_cast<double>(s_.columns) / 8 + 16);
    std::vector<double> allowed;
    for (const float value : out_) allowed.push_back(std::abs(value) * relative);
    return allowed;
  }

 private:
  std::int64_t stride() const { return case_stride(s_.columns); }
  // What is normalised is always F32: a narrow output has no place there.
  bool in_place() const { return s_.in_place && !is_narrow(); }

  Sizes s_;
  CaseRandom random_{12};
  std::vector<float> in_, weight_, out_;
  std::vector<std::int32_t> gather_;
};

}  // namespace

std::vector<OpCase> rms_norm_cases() {
  std::vector<OpCase> cases;
  for (const Sizes& s : std::vector<Sizes>{{1, 1},
                                           {7, 3},
                                           {64, 5},
                                           {133, 4, true},
                                           {160, 4, false, true},
                                           {1031, 40},
                                           {2048, 1, false, false, true},
                                           {2048, 512, false, false, true},
                                           {2048, 8192, false, false, true}})
    cases.push_back(
        {fmt::format("{} columns, {} rows{}{}", s.columns, s.rows, s.gathers ? ", gathered" : "",
                     s.in_place ? ", in place" : ""),
         "F32", s.full_size, static_cast<double>(s.rows * s.columns * 4),
         static_cast<double>(s.rows * s.columns), static_cast<double>(s.rows * s.columns * 4),
         [s](DType activation) { return std::make_unique<RmsNormInstance>(s, activation); }});
  return cases;
}

}  // namespace millrace
