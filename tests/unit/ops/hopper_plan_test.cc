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

}  // namespace
}  // namespace millrace::cuda::hopper
