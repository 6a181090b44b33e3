#include "ops/case_tables.h"
#include "ops/packed_linear/packed_error.h"
#include "ops/packed_linear/packed_linear.h"
#include "ops/packed_linear/packing.h"
#include "ops/product_case.h"

namespace millrace {
namespace {

class PackedLinearInstance final : public ProductCase<PackedLinear> {
 public:
  PackedLinearInstance(const ProductSizes& sizes, DType activation)
      : ProductCase(sizes, activation, 15),
        packed_bytes_(packed_bytes(s_.dtype, s_.n, s_.k)),
        panels_(static_cast<std::size_t>(packed_bytes_ * copies_)) {
    ThreadPool pool(available_cores());
    for (std::int64_t copy = 0; copy < copies_; ++copy)
      pack_matrix(weight_.view(copy), panels_.as<std::byte>() + copy * packed_bytes_, pool);
  }

 protected:
  PackedLinearParams params(std::int64_t run) override {
    PackedLinearParams p = operands();
    const std::byte* panels = panels_.as<std::byte>() + run % copies_ * packed_bytes_;
    p.weight = {panels, s_.dtype, s_.n, s_.k};
    return p;
  }
  // The op has kernels for the CPU alone, which work where the case lies.
  std::vector<CaseMemory> memory() override { return {read_memory(in_), written_memory(out_)}; }
  void relocate(PackedLinearParams& p, const CaseImageCopy& image) override {
    image.move(p.in, p.residual, p.out);
  }
  double allowed_error(const float* weights, const float* in, double added) const override {
    return packed_product_error(
        s_.dtype, s_.k, added, [&](std::int64_t i) { return weights[i]; },
        [&](std::int64_t i) { return in[i]; });
  }

 private:
  std::int64_t packed_bytes_;
  Buffer panels_;
};

}  // namespace

std::vector<OpCase> packed_linear_cases() {
  std::vector<ProductSizes> sizes;
  // Tails of k, of panels and of every kind of tile.
  sizes.push_back({DType::BF16, 1, 1, 1});
  sizes.push_back({DType::BF16, 7, 133, 9, false, true});
  sizes.push_back({DType::BF16, 66, 160, 5, true, true});
  sizes.push_back({DType::BF16, 131, 2049, 29, true, true});
  for (const DType dtype : {DType::Q8_0, DType::Q4_0, DType::Q4_1, DType::Q5_0, DType::Q5_1}) {
    sizes.push_back({dtype, 3, 32, 1});
    sizes.push_back({dtype, 70, 1056, 3, true, true});
    sizes.push_back({dtype, 150, 544, 37});
  }
  for (const DType dtype : {DType::Q4_K, DType::Q5_K, DType::Q6_K}) {
    sizes.push_back({dtype, 3, 256, 1});
    sizes.push_back({dtype, 70, 1280, 3, true, true});
    sizes.push_back({dtype, 150, 768, 37});
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
  return product_cases<PackedLinearInstance>(sizes);
}

}  // namespace millrace
