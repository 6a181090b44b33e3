#include "ops/case_instance.h"
#include "ops/case_tables.h"
#include "ops/silu_mul/silu_mul.h"

namespace millrace {
namespace {

struct Sizes {
  std::int64_t columns, rows;
  float largest = 6;
  bool in_place = false;
  bool full_size = false;
};

class SiluMulInstance final : public CaseInstance<SiluMul> {
 public:
  SiluMulInstance(const Sizes& s, DType activation)
      : CaseInstance(activation),
        s_(s),
        gate_(random_activations(random_, s.rows * stride(), s.largest)),
        up_(random_activations(random_, s.rows * stride(), 2.0f)),
        out_(gate_) {}

 protected:
  SiluMul::Key key() const override { return {activation(), s_.columns}; }
  SiluMulParams params(std::int64_t) override {
    const MatrixView out = {out_.data(), s_.columns, stride(), DType::F32};
    return {.gate = s_.in_place ? out : MatrixView{gate_.data(), s_.columns, stride(), DType::F32},
            .up = {up_.data(), s_.columns, stride(), DType::F32},
            .out = out,
            .rows = s_.rows};
  }
  std::vector<CaseMemory> memory() override {
    return {as_activation(read_memory(gate_)), as_activation(read_memory(up_)),
            as_activation(written_memory(out_))};
  }
  void relocate(SiluMulParams& p, const CaseImageCopy& image) override {
    image.move(p.gate, p.up, p.out);
  }
  void reset() override {
    poison(out_.data(), static_cast<std::int64_t>(out_.size()));
    for (std::int64_t t = 0; s_.in_place && t < s_.rows; ++t)
      std::copy_n(gate_.data() + t * stride(), s_.columns, out_.data() + t * stride());
  }
  std::vector<CaseOutput> outputs() const override {
    const auto count = static_cast<std::int64_t>(out_.size());
    return {{"out", out_.data(), DType::F32, count, count - s_.rows * s_.columns}};
  }
  std::vector<double> tolerance(std::size_t) const override {
    // The exponential is good to 2e-7, then a sum, a division, a product. Beyond about -87 it
    // saturates, where the result is under 1e-35 anyway.
    std::vector<double> allowed;
    for (const float value : out_) allowed.push_back(std::abs(value) * 5e-7 + 1e-35);
    return allowed;
  }

 private:
  std::int64_t stride() const { return case_stride(s_.columns); }

  Sizes s_;
  CaseRandom random_{13};
  std::vector<float> gate_, up_, out_;
};

}  // namespace

std::vector<OpCase> silu_mul_cases() {
  std::vector<OpCase> cases;
  for (const Sizes& s : std::vector<Sizes>{{1, 1},
                                           {19, 3},
                                           {96, 2, 6, true},
                                           {333, 7, 100},
                                           {2048, 40},
                                           {8192, 1, 6, true, true},
                                           {8192, 512, 6, true, true}})
    cases.push_back(
        {fmt::format("{} columns, {} rows{}{}", s.columns, s.rows, s.largest > 6 ? ", far" : "",
                     s.in_place ? ", in place" : ""),
         "F32", s.full_size, 0, static_cast<double>(s.rows * s.columns * 3), 0,
         [s](DType activation) { return std::make_unique<SiluMulInstance>(s, activation); }});
  return cases;
}

}  // namespace millrace
