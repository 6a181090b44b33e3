#include "ops/case_tables.h"
#include "ops/moe_experts/experts_case.h"

namespace millrace {
namespace {

class MoeExpertsInstance final : public ExpertsCase<MoeExperts, ExpertView> {
 public:
  MoeExpertsInstance(const ExpertsSizes& s, DType activation) : ExpertsCase(s, activation) {
    for (int e = 0; e < s.experts; ++e)
      experts_.push_back({slice(w1_, e), slice(w3_, e), slice(w2_, e)});
  }

 protected:
  std::vector<CaseMemory> memory() override {
    return {as_activation(read_memory(in_)),
            w1_.memory(),
            w3_.memory(),
            w2_.memory(),
            read_memory(chosen_),
            read_memory(weights_),
            written_memory(out_),
            {workspace_.as<void>(), static_cast<std::int64_t>(workspace_.size()),
             CaseMemory::Use::Written}};
  }
  void relocate(MoeExpertsParams& p, const CaseImageCopy& image) override {
    // The views are read by the host, what they view by the device.
    moved_experts_ = experts_;
    for (ExpertView& expert : moved_experts_) image.move(expert.w1, expert.w3, expert.w2);
    p.experts = moved_experts_.data();
    image.move(p.in, p.chosen, p.weights, p.out, p.workspace);
  }
  // As in linear.
  double product_error(DType, const std::vector<float>& weights,
                       const std::vector<double>& in) const override {
    double size = 0;
    for (std::size_t i = 0; i < in.size(); ++i) size += std::abs(double{weights[i]}) * in[i];
    return kRounding * product_roundings(static_cast<std::int64_t>(in.size())) * size;
  }

 private:
  std::vector<ExpertView> moved_experts_;
};

}  // namespace

std::vector<OpCase> moe_experts_cases() {
  std::vector<ExpertsSizes> sizes = {
      {"decode", DType::BF16, DType::BF16, 8, 2, 64, 96, 1},
      {"some rows", DType::BF16, DType::BF16, 8, 2, 133, 70, 9},
      {"many rows", DType::F32, DType::F32, 4, 2, 40, 33, 50},
      {"many rows", DType::BF16, DType::BF16, 8, 2, 72, 136, 20},
      {"two groups an expert", DType::BF16, DType::BF16, 3, 2, 24, 16, 250},
      {"an expert more often than most", DType::BF16, DType::BF16, 32, 4, 40, 24, 60},
      {"all experts", DType::F16, DType::F16, 3, 3, 36, 64, 4},
      {"mixed types", DType::Q4_K, DType::Q6_K, 6, 4, 256, 256, 7},
      {"some rows", DType::Q8_0, DType::Q8_0, 8, 4, 96, 64, 6},
      {"some rows", DType::Q4_0, DType::Q4_0, 32, 4, 64, 32, 40},
  };
  for (const std::int64_t rows : {1, 4, 16, 100, 512, 2048})
    sizes.push_back({"LFM2-8B-A1B", DType::BF16, DType::BF16, 32, 4, 2048, 1792, rows, true});
  for (const std::int64_t rows : {1, 512})
    sizes.push_back({"LFM2-8B-A1B", DType::Q4_0, DType::Q4_0, 32, 4, 2048, 1792, rows, true});
  return experts_cases<MoeExpertsInstance>(sizes);
}

}  // namespace millrace
