// Experts with packed weights: a row has the same bits alone and in company, by every
// kernel, and what is not a number stays in its row.
#include "ops/packed_experts/packed_experts.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "device/cpu/cpu_device.h"
#include "ops/case_data.h"
#include "ops/packed_linear/packing.h"

namespace millrace {
namespace {

constexpr DType kPacked[] = {DType::BF16, DType::Q8_0, DType::Q4_0, DType::Q4_K, DType::Q6_K};

struct Experts {
  static constexpr int kExperts = 6, kTopK = 2;
  static constexpr std::int64_t kHidden = 256, kWidth = 256, kRows = 100;

  explicit Experts(DType type)
      : dtype(type),
        stored(random, dtype, 3 * kExperts * kWidth, kHidden, 0.3f),
        panels(static_cast<std::size_t>(3 * kExperts * packed_bytes(dtype, kWidth, kHidden))),
        in(random_floats(random, kRows * kHidden, 1)),
        weights(random_floats(random, kRows * kTopK, 1)) {
    std::vector<PackedView> matrices;
    for (std::int64_t i = 0; i < 3 * kExperts; ++i) {
      const TensorView all = stored.view();
      const TensorView matrix = {
          all.as<char>() + i * bytes_of(dtype, kWidth * kHidden), dtype, {kWidth, kHidden}};
      matrices.push_back(
          pack_matrix(matrix, panels.as<char>() + i * packed_bytes(dtype, kWidth, kHidden), pool));
    }
    for (std::size_t e = 0; e < kExperts; ++e)
      experts.push_back({matrices[3 * e], matrices[3 * e + 1], matrices[3 * e + 2]});
    for (std::int64_t t = 0; t < kRows; ++t) {
      const auto first = static_cast<std::int32_t>(random.below(kExperts - 1));
      chosen.push_back(first);
      chosen.push_back(first + 1 + static_cast<std::int32_t>(random.below(kExperts - 1 - first)));
    }
  }

  // Rows [first, first + rows) in one launch; out begins as 0.5.
  std::vector<float> run(const KernelSpec<PackedExperts>& kernel, std::int64_t first,
                         std::int64_t rows, Stream& stream) {
    std::vector<float> out(static_cast<std::size_t>(rows * kHidden), 0.5f);
    kernel.launch({.in = {in.data() + first * kHidden, kHidden, kHidden, DType::F32},
                   .experts = experts.data(),
                   .expert_count = kExperts,
                   .chosen = chosen.data() + first * kTopK,
                   .weights = weights.data() + first * kTopK,
                   .top_k = kTopK,
                   .out = {out.data(), kHidden, kHidden, DType::F32},
                   .rows = rows,
                   .width = kWidth,
                   .workspace = workspace.as<void>()},
                  stream);
    return out;
  }

  template <typename Body>
  void with_kernels(const Body& body) {
    const std::unique_ptr<Device> device = make_cpu_device(2);
    const std::unique_ptr<Stream> stream = device->make_stream();
    for (const KernelSpec<PackedExperts>& kernel : kernels_of(PackedExperts{}))
      if (kernel.priority != Priority::Reference &&
          kernel.rejects({dtype, dtype, DType::F32, kHidden, kWidth}, device->traits()).empty())
        body(kernel, *stream);
  }

  DType dtype;
  CaseRandom random{5};
  ThreadPool pool{2};
  CaseWeight stored;
  Buffer panels;
  std::vector<float> in, weights;
  std::vector<std::int32_t> chosen;
  std::vector<PackedExpertView> experts;
  Buffer workspace{moe_experts_workspace_bytes(kRows, kTopK, kExperts, kHidden, kWidth)};
};

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

TEST(PackedExperts, RowsAloneAndTogether) {
  for (const DType dtype : kPacked) {
    Experts data(dtype);
    data.with_kernels([&](const KernelSpec<PackedExperts>& kernel, Stream& stream) {
      std::vector<float> alone;
      for (std::int64_t t = 0; t < Experts::kRows; ++t) {
        const std::vector<float> row = data.run(kernel, t, 1, stream);
        alone.insert(alone.end(), row.begin(), row.end());
      }
      for (const std::int64_t rows : {2, 5, 17, 48, 100}) {
        const std::vector<float> together = data.run(kernel, 0, rows, stream);
        ASSERT_TRUE(same_bits(together, {alone.begin(), alone.begin() + rows * Experts::kHidden}))
            << to_string(dtype) << " " << kernel.name << ", " << rows << " rows";
      }
    });
  }
}

TEST(PackedExperts, NotANumberShowsInItsRowAlone) {
  for (const DType dtype : kPacked) {
    Experts data(dtype);
    data.in[4 * Experts::kHidden + 77] = std::numeric_limits<float>::quiet_NaN();
    data.with_kernels([&](const KernelSpec<PackedExperts>& kernel, Stream& stream) {
      const std::vector<float> out = data.run(kernel, 0, Experts::kRows, stream);
      for (std::size_t i = 0; i < out.size(); ++i)
        ASSERT_EQ(std::isfinite(out[i]), i / Experts::kHidden != 4)
            << to_string(dtype) << " " << kernel.name << " " << i;
    });
  }
}

// Layers may mix types, but not those that are multiplied in different ways.
TEST(PackedExperts, TypesThatDoNotGoTogetherAreRefused) {
  const std::unique_ptr<Device> device = make_cpu_device(1);
  for (const KernelSpec<PackedExperts>& kernel : kernels_of(PackedExperts{})) {
    if (kernel.priority == Priority::Reference) continue;
    EXPECT_NE(kernel.rejects({DType::BF16, DType::Q4_0, DType::F32, 256, 256}, device->traits()),
              "")
        << kernel.name;
    EXPECT_NE(kernel.rejects({DType::Q4_0, DType::BF16, DType::F32, 256, 256}, device->traits()),
              "")
        << kernel.name;
  }
}

}  // namespace
}  // namespace millrace
