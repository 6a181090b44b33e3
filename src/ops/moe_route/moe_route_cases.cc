#include "ops/case_instance.h"
#include "ops/case_tables.h"
#include "ops/moe_route/moe_route.h"

namespace millrace {
namespace {

struct Sizes {
  std::string what;
  int experts, top_k;
  std::int64_t rows;
  bool bias = true;
  bool normalise = true;
  float scale = 1;
  bool full_size = false;
};

class MoeRouteInstance final : public CaseInstance<MoeRoute> {
 public:
  MoeRouteInstance(const Sizes& s, DType activation)
      : CaseInstance(activation),
        s_(s),
        logits_(random_floats(random_, s.rows * stride(), 4.0f)),
        bias_(random_floats(random_, s.experts, 0.2f)),
        experts_(static_cast<std::size_t>(s.rows * s.top_k + 4)),
        weights_(experts_.size()) {
    if (s.what != "ties") return;
    for (float& logit : logits_) logit = std::round(logit / 2);
    for (float& value : bias_) value = std::round(value * 8) / 8;
  }

 protected:
  MoeRoute::Key key() const override { return {activation(), s_.experts, s_.top_k}; }
  MoeRouteParams params(std::int64_t) override {
    return {.logits = {logits_.data(), s_.experts, stride(), DType::F32},
            .bias = s_.bias ? bias_.data() : nullptr,
            .experts = experts_.data(),
            .weights = weights_.data(),
            .rows = s_.rows,
            .top_k = s_.top_k,
            .normalise = s_.normalise,
            .scale = s_.scale};
  }
  std::vector<CaseMemory> memory() override {
    return {read_memory(logits_), read_memory(bias_), written_memory(experts_),
            written_memory(weights_)};
  }
  void relocate(MoeRouteParams& p, const CaseImageCopy& image) override {
    image.move(p.logits, p.bias, p.experts, p.weights);
  }
  void reset() override {
    poison(experts_.data(), DType::I32, static_cast<std::int64_t>(experts_.size()));
    poison(weights_.data(), static_cast<std::int64_t>(weights_.size()));
  }
  std::vector<CaseOutput> outputs() const override {
    const auto count = static_cast<std::int64_t>(experts_.size());
    return {{"experts", experts_.data(), DType::I32, count, 4},
            {"weights", weights_.data(), DType::F32, count, 4}};
  }
  std::vector<double> tolerance(std::size_t output) const override {
    if (output == 0) return {};
    // Exponential, sum and division of the sigmoid, the sum over the k, division, product.
    std::vector<double> allowed;
    for (const float weight : weights_)
      allowed.push_back(std::abs(weight) * (s_.top_k + 12) * kRounding);
    return allowed;
  }

 private:
  std::int64_t stride() const { return case_stride(s_.experts); }

  Sizes s_;
  CaseRandom random_{18};
  std::vector<float> logits_, bias_;
  std::vector<std::int32_t> experts_;
  std::vector<float> weights_;
};

}  // namespace

std::vector<OpCase> moe_route_cases() {
  std::vector<OpCase> cases;
  for (const Sizes& s : std::vector<Sizes>{{"plain", 8, 2, 5},
                                           {"plain", 32, 4, 40},
                                           {"no bias", 64, 4, 9, false},
                                           {"not normalised", 32, 4, 9, true, false, 2.5f},
                                           {"all of them", 4, 4, 3},
                                           {"one of one", 1, 1, 2},
                                           {"ties", 16, 4, 64},
                                           {"ties", 16, 4, 64, false},
                                           {"plain", 32, 4, 1, true, true, 1, true},
                                           {"plain", 32, 4, 512, true, true, 1, true}})
    cases.push_back(
        {fmt::format("{}, {} experts, top {}, {} rows{}", s.what, s.experts, s.top_k, s.rows,
                     s.bias ? "" : ", no bias"),
         "F32", s.full_size, static_cast<double>(s.rows * (s.experts + 2 * s.top_k) * 4), 0, 0,
         [s](DType activation) { return std::make_unique<MoeRouteInstance>(s, activation); }});
  return cases;
}

}  // namespace millrace
