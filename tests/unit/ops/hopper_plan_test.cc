// How products are spread over a GPU: everything is covered once, within what a block may have.
#include "ops/hopper/hopper_plan.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace millrace::cuda::hopper {
namespace {

constexpr int kMultiprocessors = 132;
constexpr int kParts = 2;

struct Matrix {
  std::int64_t columns, k;
};

TEST(HopperPlan, CoversEveryShape) {
  for (const Matrix& m : {Matrix{8192, 2048}, Matrix{4608, 1024}, Matrix{10752, 2048}, Matrix{8, 8},
                          Matrix{200, 72}, Matrix{65536, 8192}})
    for (const std::int64_t rows : {1, 9, 16, 17, 32, 33, 64, 100, 128, 300}) {
      const ProductPlan plan = plan_product(m.columns, m.k, rows, kParts, kMultiprocessors);
      EXPECT_GE(plan.rows * plan.row_blocks, rows);
      EXPECT_GE(std::int64_t{plan.tiles} * kColumns, m.columns);
      EXPECT_LT(std::int64_t{plan.tiles - 1} * kColumns, m.columns);
      EXPECT_GE(std::int64_t{plan.chunks} * kDepth, m.k);
      EXPECT_LE(plan.cluster, std::min(plan.chunks, kMostBlocks));
      EXPECT_GE(plan.clusters, 1);
      EXPECT_LE(plan.clusters, plan.tiles);
      EXPECT_GE(plan.stages, 2);
      EXPECT_LE(plan.stages, kMostStages);
      EXPECT_LE(plan.shared_bytes, 227 * 1024);
      EXPECT_TRUE(!plan.sums_in_ring || plan.clusters == plan.tiles);
    }
}

TEST(HopperPlan, KeepsNearlyAllMultiprocessorsBusy) {
  const ProductPlan plan = plan_product(8192, 2048, 16, kParts, kMultiprocessors);
  EXPECT_EQ(plan.cluster, 1);
  EXPECT_EQ(plan.clusters, 128);
  EXPECT_GE(plan.stages, 6);
}

TEST(HopperPlan, OfGroupsIsSound) {
  for (const std::int64_t rows : {4, 64, 400, 2048, 32768})
    for (const int parts : {1, 2}) {
      const Matrix m = parts == 2 ? Matrix{1792, 2048} : Matrix{2048, 1792};
      const ProductPlan plan = plan_grouped(m.columns, m.k, rows, 32, parts, kMultiprocessors);
      EXPECT_EQ(plan.rows, grouped_rows(rows, 32));
      EXPECT_GE(plan.tiles * plan.groups / parts * kColumns, m.columns);
      EXPECT_EQ(plan.chunks * kDepth, m.k);
      EXPECT_GE(plan.stages, 4);
      EXPECT_LE(plan.shared_bytes, 227 * 1024);
    }
}

TEST(HopperPlan, SharesOutKOfFewColumns) {
  for (const Matrix& m : {Matrix{2048, 8192}, Matrix{2048, 2048}, Matrix{6144, 2048},
                          Matrix{1024, 1024}, Matrix{8, 8}, Matrix{200, 2120}})
    for (const std::int64_t rows : {9, 16, 17, 32}) {
      EXPECT_TRUE(split_fits(m.columns, rows, kMultiprocessors));
      const SplitPlan plan = plan_split(m.columns, m.k, rows, kMultiprocessors);
      EXPECT_GE(plan.rows, rows);
      EXPECT_GE(std::int64_t{plan.tiles} * kColumns, m.columns);
      EXPECT_GE(std::int64_t{plan.chunks} * kDepth, m.k);
      EXPECT_LE(plan.tiles * plan.parts, kMultiprocessors);
      EXPECT_GE(plan.parts, 1);
      EXPECT_LE(plan.parts, std::min(plan.chunks, kMostParts));
      EXPECT_GE(plan.stages, 1);
      EXPECT_LE(plan.stages, kMostStages);
      // Two blocks share a multiprocessor: this kernel's last beside the next one's first.
      EXPECT_LE(2 * (plan.shared_bytes + 1024), 228 * 1024);
      // What CudaStream::sums() has.
      EXPECT_LE(plan.tiles * plan.parts * plan.rows * kColumns, 1 << 19);
    }
  EXPECT_EQ(plan_split(2048, 8192, 16, kMultiprocessors).parts, 4);
  EXPECT_FALSE(split_fits(65536, 16, kMultiprocessors));
  EXPECT_FALSE(split_fits(2048, 8, kMultiprocessors));
  EXPECT_FALSE(split_fits(2048, 33, kMultiprocessors));
}

}  // namespace
}  // namespace millrace::cuda::hopper
