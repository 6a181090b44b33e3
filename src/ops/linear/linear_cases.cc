#include "ops/case_tables.h"
#include "ops/linear/linear.h"
#include "ops/product_case.h"

namespace millrace {
namespace {

class LinearInstance final : public ProductCase<Linear> {
 public:
  LinearInstance(const ProductSizes& sizes, DType activation)
      : ProductCase(sizes, activation, 14) {}

 protected:
  LinearParams params(std::int64_t run) override {
    LinearParams p = operands();
    p.weight = weight_.view(run % copies_);
    return p;
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
  double allowed_error(const float* weights, const float* in, double added) const override {
    double size = added;
    for (std::int64_t i = 0; i < s_.k; ++i) size += std::abs(double{weights[i]} * in[i]);
    return size * product_roundings(s_.k) * kRounding;
  }
};

}  // namespace

std::vector<OpCase> linear_cases() {
  std::vector<ProductSizes> sizes;
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
  // Parts of k that blocks share out, with a rest of everything; 9 to 32 rows.
  sizes.push_back({DType::BF16, 72, 2120, 9, false, true});
  sizes.push_back({DType::BF16, 136, 1096, 31});
  sizes.push_back({DType::BF16, 328, 520, 17, false, false, false, true});
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
  for (const std::int64_t rows : {16, 32, 64, 100}) {
    sizes.push_back({DType::BF16, 2048, 8192, rows, false, true, true});
    sizes.push_back({DType::BF16, 2048, 2048, rows, false, true, true});
    full(DType::BF16, 6144, 2048, rows);
  }
  for (const std::int64_t rows : {4, 16}) full(DType::Q4_0, 8192, 2048, rows);
  for (const DType dtype : {DType::BF16, DType::Q8_0, DType::Q4_0, DType::Q4_K, DType::Q6_K}) {
    full(dtype, 8192, 2048, 512);
    full(dtype, 2048, 8192, 512);
  }
  return product_cases<LinearInstance>(sizes);
}

}  // namespace millrace
