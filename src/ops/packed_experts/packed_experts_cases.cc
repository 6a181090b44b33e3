#include "ops/case_tables.h"
#include "ops/moe_experts/experts_case.h"
#include "ops/packed_experts/packed_experts.h"
#include "ops/packed_linear/packed_error.h"
#include "ops/packed_linear/packing.h"

namespace millrace {
namespace {

class PackedExpertsInstance final : public ExpertsCase<PackedExperts, PackedExpertView> {
 public:
  PackedExpertsInstance(const ExpertsSizes& s, DType activation)
      : ExpertsCase(s, activation),
        inner_bytes_(packed_bytes(s.gate_up, s.width, s.hidden)),
        outer_bytes_(packed_bytes(s.down, s.hidden, s.width)),
        panels_(static_cast<std::size_t>(s.experts * (2 * inner_bytes_ + outer_bytes_))) {
    ThreadPool pool(available_cores());
    std::byte* to = panels_.as<std::byte>();
    const auto pack = [&](const TensorView& matrix, std::int64_t bytes) {
      const PackedView packed = pack_matrix(matrix, to, pool);
      to += bytes;
      return packed;
    };
    for (int e = 0; e < s.experts; ++e) {
      const PackedView w1 = pack(slice(w1_, e), inner_bytes_);
      const PackedView w3 = pack(slice(w3_, e), inner_bytes_);
      experts_.push_back({w1, w3, pack(slice(w2_, e), outer_bytes_)});
    }
  }

 protected:
  // The op has kernels for the CPU alone, which work where the case lies.
  std::vector<CaseMemory> memory() override { return {read_memory(in_), written_memory(out_)}; }
  void relocate(PackedExpertsParams& p, const CaseImageCopy& image) override {
    image.move(p.in, p.out);
  }
  double product_error(DType dtype, const std::vector<float>& weights,
                       const std::vector<double>& in) const override {
    const auto k = static_cast<std::int64_t>(in.size());
    return packed_product_error(
        dtype, k, 0, [&](std::int64_t i) { return weights[static_cast<std::size_t>(i)]; },
        [&](std::int64_t i) { return in[static_cast<std::size_t>(i)]; });
  }

 private:
  std::int64_t inner_bytes_, outer_bytes_;
  Buffer panels_;
};

}  // namespace

std::vector<OpCase> packed_experts_cases() {
  std::vector<ExpertsSizes> sizes = {
      {"decode", DType::BF16, DType::BF16, 8, 2, 64, 96, 1},
      {"some rows", DType::BF16, DType::BF16, 8, 2, 133, 70, 9},
      {"an expert more often than most", DType::BF16, DType::BF16, 32, 4, 40, 24, 60},
      {"mixed types", DType::Q4_K, DType::Q6_K, 6, 4, 256, 256, 7},
      {"many rows an expert", DType::Q4_K, DType::Q6_K, 3, 2, 256, 256, 40},
      {"some rows", DType::Q8_0, DType::Q8_0, 8, 4, 96, 64, 50},
      {"two groups an expert", DType::Q4_0, DType::Q4_0, 3, 2, 32, 96, 150},
      {"some rows", DType::Q4_0, DType::Q4_0, 32, 4, 64, 32, 40},
      {"decode", DType::Q4_0, DType::Q4_0, 32, 4, 128, 224, 1},
  };
  for (const DType dtype : {DType::BF16, DType::Q8_0, DType::Q4_0})
    for (const std::int64_t rows : {1, 8, 512})
      sizes.push_back({"LFM2-8B-A1B", dtype, dtype, 32, 4, 2048, 1792, rows, true});
  for (const std::int64_t rows : {1, 512})
    sizes.push_back({"LFM2-8B-A1B", DType::Q4_K, DType::Q6_K, 32, 4, 2048, 1792, rows, true});
  return experts_cases<PackedExpertsInstance>(sizes);
}

}  // namespace millrace
