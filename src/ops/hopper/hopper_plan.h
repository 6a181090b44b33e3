// How a product of hopper_product.cuh is spread over a GPU; plain arithmetic.
#pragma once

#include <cstdint>
#include <string>

#include "device/device.h"
#include "ops/hopper/hopper_shape.h"
#include "tensor/dtype.h"

namespace millrace::cuda::hopper {

// Why these kernels cannot make `n` columns from so many `k`; empty if they can.
std::string product_problem(DType weight, std::int64_t n, std::int64_t k,
                            const DeviceTraits& traits);

// Of kernels for so many rows at most.
std::string row_problem(std::int64_t rows);

struct ProductPlan {
  int groups;      // warpgroups of 64 columns a block
  int rows;        // of an instance: 16, 32, 64 or 128
  int row_blocks;  // of so many rows
  int tiles, chunks;
  int cluster;   // blocks that share out k
  int clusters;  // of them
  int stages;
  bool sums_in_ring;
  int shared_bytes;
};

// Completes a plan of given groups and cluster. `ring_bytes`: about what the ring may take.
ProductPlan lay_out(std::int64_t columns, std::int64_t k, std::int64_t rows, int parts, int groups,
                    int cluster, int multiprocessors, int ring_bytes);

// The plan, of one warpgroup a part, whose blocks have the least to read.
ProductPlan plan_product(std::int64_t columns, std::int64_t k, std::int64_t rows, int parts,
                         int multiprocessors);

// Rows sorted by the matrix of a stack that they are multiplied with: how many a group has at most,
// and the plan for the products of such groups.
int grouped_rows(std::int64_t rows, int matrices);
ProductPlan plan_grouped(std::int64_t columns, std::int64_t k, std::int64_t rows, int matrices,
                         int parts, int multiprocessors);

// How split_product.cu lays out a product of 9 to 32 rows with few columns.
struct SplitPlan {
  int rows;  // of an instance: 16 or 32
  int tiles, parts, chunks, stages;
  int shared_bytes;
};
SplitPlan plan_split(std::int64_t columns, std::int64_t k, std::int64_t rows, int multiprocessors);

// Why it cannot make `n` columns from so many `k`, or need not, for so many rows at most.
std::string split_problem(DType weight, std::int64_t n, std::int64_t k, std::int64_t rows,
                          const DeviceTraits& traits);
bool split_fits(std::int64_t columns, std::int64_t rows, int multiprocessors);

}  // namespace millrace::cuda::hopper
