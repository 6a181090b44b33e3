#include "ops/case_instance.h"
#include "ops/case_tables.h"
#include "ops/norm_swiglu/norm_swiglu.h"
#include "ops/stream/normed_product.h"

namespace millrace {
namespace {

struct Sizes {
  std::int64_t n, k, rows;
  bool full_size = false;
  bool begun = false;  // the norm, in the scratch
};

class NormSwigluInstance final : public CaseInstance<NormSwiglu> {
 public:
  NormSwigluInstance(const Sizes& s, DType activation)
      : CaseInstance(activation),
        s_(s),
        copies_(s.full_size ? copies_beyond_cache(bytes_of(DType::BF16, 2 * s.n * s.k)) : 1),
        w1_(random_, DType::BF16, s.n, s.k, 0.1f, copies_),
        w3_(random_, DType::BF16, s.n, s.k, 1.0f, copies_),
        in_(random_floats(random_, s.rows * in_stride(), 2.0f)),
        norm_weight_(random_floats(random_, s.k, 1.5f)),
        out_(static_cast<std::size_t>(s.rows * out_stride())) {
    if (s.begun) scratch_.begin(in_.data(), in_stride(), norm_weight_.data());
  }

 protected:
  NormSwiglu::Key key() const override { return {DType::BF16, activation(), s_.n, s_.k, s_.rows}; }
  NormSwigluParams params(std::int64_t run) override {
    return {.in = {in_.data(), s_.k, in_stride(), DType::F32},
            .norm_weight = norm_weight_.data(),
            .epsilon = 1e-5f,
            .w1 = w1_.view(run % copies_),
            .w3 = w3_.view(run % copies_),
            .out = {out_.data(), s_.n, out_stride(), DType::F32},
            .rows = s_.rows,
            .scratch = scratch_.view(),
            .begun = s_.begun};
  }
  std::vector<CaseMemory> memory() override {
    return {read_memory(in_),
            read_memory(norm_weight_),
            w1_.memory(),
            w3_.memory(),
            as_activation(written_memory(out_)),
            written_memory(scratch_.rows),
            written_memory(scratch_.squares)};
  }
  void relocate(NormSwigluParams& p, const CaseImageCopy& image) override {
    image.move(p.in, p.norm_weight, p.w1, p.w3, p.out, p.scratch.rows, p.scratch.squares);
  }
  void reset() override { poison(out_.data(), static_cast<std::int64_t>(out_.size())); }
  std::vector<CaseOutput> outputs() const override {
    const auto count = static_cast<std::int64_t>(out_.size());
    return {{"out", out_.data(), DType::F32, count, count - s_.rows * s_.n}};
  }
  // |silu'| <= 1.1 carries the error of the gate through; silu and the product as in silu_mul.
  std::vector<double> tolerance(std::size_t) const override {
    std::vector<double> allowed(out_.size(), 0.0);
    for (std::int64_t t = 0; t < s_.rows; ++t) {
      const NormedRow row =
          normed_row(in_.data() + t * in_stride(), norm_weight_.data(), s_.k, 1e-5);
      for (std::int64_t n = 0; n < s_.n; ++n) {
        const NormedSum gate = multiply(row, w1_.view().as<BF16>() + n * s_.k);
        const NormedSum up = multiply(row, w3_.view().as<BF16>() + n * s_.k);
        const double gated = std::abs(silu(gate.value));
        const double gate_error = 1.1 * gate.size * normed_rounding(s_.k);
        const double up_error = up.size * normed_rounding(s_.k);
        allowed[static_cast<std::size_t>(t * out_stride() + n)] =
            gate_error * (std::abs(up.value) + up_error) + gated * up_error +
            gated * std::abs(up.value) * 5e-7;
      }
    }
    return allowed;
  }

 private:
  std::int64_t in_stride() const { return case_stride(s_.k); }
  std::int64_t out_stride() const { return case_stride(s_.n); }

  Sizes s_;
  CaseRandom random_{21};
  std::int64_t copies_;
  CaseWeight w1_, w3_;
  std::vector<float> in_, norm_weight_, out_;
  CaseNormScratch scratch_{s_.rows, s_.k};
};

}  // namespace

std::vector<OpCase> norm_swiglu_cases() {
  std::vector<Sizes> sizes = {{8, 32, 1},
                              {24, 256, 3},
                              {64, 2048, 8},
                              {136, 1056, 7},
                              {2208, 64, 8},
                              {16, 2592, 5},
                              {200, 72, 9},
                              {64, 520, 33},
                              {136, 2056, 16},
                              {72, 128, 100},
                              {200, 72, 9, false, true},
                              {64, 520, 32, false, true}};
  for (const std::int64_t rows : {1, 4, 8, 16, 64, 100}) sizes.push_back({8192, 2048, rows, true});
  std::vector<OpCase> cases;
  for (const Sizes& s : sizes)
    cases.push_back(
        {fmt::format("[{}, {}], {} row{}{}", s.n, s.k, s.rows, s.rows == 1 ? "" : "s",
                     s.begun ? ", begun" : ""),
         "BF16 weight", s.full_size,
         static_cast<double>(bytes_of(DType::BF16, 2 * s.n * s.k) + s.rows * s.k * 4),
         static_cast<double>(s.rows * s.n), 4.0 * static_cast<double>(s.n * s.k * s.rows),
         [s](DType activation) { return std::make_unique<NormSwigluInstance>(s, activation); }});
  return cases;
}

}  // namespace millrace
