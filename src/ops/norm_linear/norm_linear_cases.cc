#include "ops/case_instance.h"
#include "ops/case_tables.h"
#include "ops/norm_linear/norm_linear.h"
#include "ops/stream/normed_product.h"

namespace millrace {
namespace {

struct Sizes {
  std::int64_t n, k, rows;
  bool wide = false;  // F32 out whatever the activations are: logits
  bool gathers = false;
  bool full_size = false;
  bool begun = false;  // the norm, in the scratch
};

class NormLinearInstance final : public CaseInstance<NormLinear> {
 public:
  NormLinearInstance(const Sizes& s, DType activation)
      : CaseInstance(activation),
        s_(s),
        copies_(s.full_size ? copies_beyond_cache(bytes_of(DType::BF16, s.n * s.k)) : 1),
        weight_(random_, DType::BF16, s.n, s.k, 1.0f, copies_),
        in_(random_floats(random_, (s.rows + 2) * in_stride(), 2.0f)),
        norm_weight_(random_floats(random_, s.k, 1.5f)),
        out_(static_cast<std::size_t>(s.rows * out_stride())) {
    for (std::int64_t t = 0; t < s.rows; ++t)
      gather_.push_back(static_cast<std::int32_t>(random_.below(s.rows + 2)));
    if (s.begun) scratch_.begin(in_.data(), in_stride(), norm_weight_.data());
  }

 protected:
  NormLinear::Key key() const override {
    return {DType::BF16, s_.wide ? DType::F32 : activation(), s_.n, s_.k, s_.rows};
  }
  NormLinearParams params(std::int64_t run) override {
    return {.in = {in_.data(), s_.k, in_stride(), DType::F32},
            .gather = s_.gathers ? gather_.data() : nullptr,
            .norm_weight = norm_weight_.data(),
            .epsilon = 1e-5f,
            .weight = weight_.view(run % copies_),
            .out = {out_.data(), s_.n, out_stride(), DType::F32},
            .rows = s_.rows,
            .scratch = scratch_.view(),
            .begun = s_.begun};
  }
  std::vector<CaseMemory> memory() override {
    const CaseMemory out = written_memory(out_);
    return {read_memory(in_),
            read_memory(gather_),
            read_memory(norm_weight_),
            weight_.memory(),
            s_.wide ? out : as_activation(out),
            written_memory(scratch_.rows),
            written_memory(scratch_.squares)};
  }
  void relocate(NormLinearParams& p, const CaseImageCopy& image) override {
    image.move(p.in, p.gather, p.norm_weight, p.weight, p.out, p.scratch.rows, p.scratch.squares);
  }
  void reset() override { poison(out_.data(), static_cast<std::int64_t>(out_.size())); }
  std::vector<CaseOutput> outputs() const override {
    const auto count = static_cast<std::int64_t>(out_.size());
    return {{"out", out_.data(), DType::F32, count, count - s_.rows * s_.n}};
  }
  std::vector<double> tolerance(std::size_t) const override {
    std::vector<double> allowed(out_.size(), 0.0);
    for (std::int64_t t = 0; t < s_.rows; ++t) {
      const std::int64_t from = s_.gathers ? gather_[static_cast<std::size_t>(t)] : t;
      const NormedRow row =
          normed_row(in_.data() + from * in_stride(), norm_weight_.data(), s_.k, 1e-5);
      for (std::int64_t n = 0; n < s_.n; ++n)
        allowed[static_cast<std::size_t>(t * out_stride() + n)] =
            multiply(row, weight_.view().as<BF16>() + n * s_.k).size * normed_rounding(s_.k);
    }
    return allowed;
  }

 private:
  std::int64_t in_stride() const { return case_stride(s_.k); }
  std::int64_t out_stride() const { return case_stride(s_.n); }

  Sizes s_;
  CaseRandom random_{20};
  std::int64_t copies_;
  CaseWeight weight_;
  std::vector<float> in_, norm_weight_, out_;
  std::vector<std::int32_t> gather_;
  CaseNormScratch scratch_{s_.rows, s_.k};
};

}  // namespace

std::vector<OpCase> norm_linear_cases() {
  std::vector<Sizes> sizes = {{8, 32, 1},     {24, 256, 3, true}, {64, 2048, 8, false, true},
                              {136, 2592, 7}, {96, 96, 8, true},  {2112, 64, 2},
                              {3168, 32, 6},  {4224, 544, 1},     {40, 8192, 2, true, true}};
  for (const bool begun : {false, true})
    for (const Sizes& s : {Sizes{8, 32, 9}, Sizes{200, 2120, 17}, Sizes{328, 520, 32, true}}) {
      sizes.push_back(s);
      sizes.back().begun = begun;
    }
  // LFM2-1.2B: q, k and v; the head.
  for (const std::int64_t rows : {1, 4, 8}) {
    sizes.push_back({3072, 2048, rows, false, false, true});
    sizes.push_back({65536, 2048, rows, true, true, true});
  }
  for (const std::int64_t n : {3072, 6144})
    for (const std::int64_t rows : {16, 32})
      sizes.push_back({n, 2048, rows, false, false, true, true});
  std::vector<OpCase> cases;
  for (const Sizes& s : sizes)
    cases.push_back({fmt::format("[{}, {}], {} row{}{}{}{}", s.n, s.k, s.rows,
                                 s.rows == 1 ? "" : "s", s.wide ? ", F32 out" : "",
                                 s.gathers ? ", gathered" : "", s.begun ? ", begun" : ""),
                     "BF16 weight", s.full_size,
                     static_cast<double>(bytes_of(DType::BF16, s.n * s.k) + s.rows * s.k * 4 +
                                         (s.wide ? s.rows * s.n * 4 : 0)),
                     static_cast<double>(s.wide ? 0 : s.rows * s.n),
                     2.0 * static_cast<double>(s.n * s.k * s.rows), [s](DType activation) {
                       return std::make_unique<NormLinearInstance>(s, activation);
                     }});
  return cases;
}

}  // namespace millrace
