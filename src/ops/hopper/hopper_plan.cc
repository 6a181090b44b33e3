#include "ops/hopper/hopper_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace millrace::cuda::hopper {
namespace {

constexpr int kSharedBytes = 227 * 1024;  // that a block may have
// Half of a multiprocessor's: the next kernel's first weights arrive beside this one's last.
constexpr int kRingBytes = 108 * 1024;
constexpr int kFewestStages = 6;         // or the copies run dry
constexpr int kFewestChunks = 4;         // of a part of k: each costs its sums' way through memory
constexpr std::int64_t kFewestRows = 9;  // fewer are streamed
constexpr std::int64_t kMostRows = 64;   // beyond them the library is ahead
// Larger ones wait for as many free neighbours: measured, they lose more than they balance.
constexpr int kMostCluster = 2;

// Nothing is asked for before the rows are sorted: the next kernel gains nothing by an early start.
constexpr int kGroupedRingBytes = 144 * 1024;

std::int64_t blocks_of(std::int64_t count, std::int64_t size) {
  return (count + size - 1) / size;
}

}  // namespace

std::string product_problem(DType weight, std::int64_t n, std::int64_t k,
                            const DeviceTraits& traits) {
  if (traits.arch != 90) return "needs an NVIDIA GPU of sm_90";
  if (weight != DType::BF16) return "reads BF16 weights";
  if (n % 8 != 0 || k % 8 != 0) return "needs columns and k in eights";
  if (n > std::numeric_limits<int>::max() || k > std::numeric_limits<int>::max())
    return "counts columns and k in 32 bits";
  return {};
}

std::string row_problem(std::int64_t rows) {
  if (rows >= kFewestRows && rows <= kMostRows) return {};
  return fmt::format("takes {} to {} rows", kFewestRows, kMostRows);
}

ProductPlan lay_out(std::int64_t columns, std::int64_t k, std::int64_t rows, int parts, int groups,
                    int cluster, int multiprocessors, int ring_bytes) {
  ProductPlan plan = {};
  plan.groups = groups;
  plan.rows = rows <= 16 ? 16 : rows <= 32 ? 32 : rows <= 64 ? 64 : 128;
  plan.row_blocks = static_cast<int>(blocks_of(rows, plan.rows));
  plan.tiles = static_cast<int>(blocks_of(columns, groups / parts * kColumns));
  plan.chunks = static_cast<int>(blocks_of(k, kDepth));
  plan.cluster = cluster;
  plan.clusters = std::max(1, std::min(plan.tiles, multiprocessors / (cluster * plan.row_blocks)));
  plan.sums_in_ring = plan.clusters == plan.tiles;
  const int stage = stage_bytes(groups, plan.rows);
  const int sums = sums_bytes(groups, plan.rows);
  const int fixed = kBarrierBytes + kScaleBytes + 1024 + (plan.sums_in_ring ? 0 : sums);
  const int tiles_each = static_cast<int>(blocks_of(plan.tiles, plan.clusters));
  const int chunks_each = static_cast<int>(blocks_of(plan.chunks, cluster)) * tiles_each;
  plan.stages = std::max(ring_bytes / stage, kFewestStages);
  plan.stages = std::min(
      {plan.stages, (kSharedBytes - fixed) / stage, kMostStages, std::max(chunks_each, 2)});
  const int ring = plan.stages * stage;
  plan.shared_bytes = fixed + (plan.sums_in_ring ? std::max(ring, sums) : ring);
  return plan;
}

ProductPlan plan_product(std::int64_t columns, std::int64_t k, std::int64_t rows, int parts,
                         int multiprocessors) {
  ProductPlan best = {};
  double least = 0;
  for (int cluster = 1; cluster <= kMostCluster; ++cluster) {
    const ProductPlan plan =
        lay_out(columns, k, rows, parts, parts, cluster, multiprocessors, kRingBytes);
    if (plan.chunks < cluster) continue;
    const auto rounds = static_cast<double>(blocks_of(plan.tiles, plan.clusters));
    const auto chunks = static_cast<double>(blocks_of(plan.chunks, cluster));
    // Bytes that a block waits for; rows come from the cache of the device, twice as fast.
    const double bytes = rounds * chunks * (parts * kColumns + 0.5 * plan.rows) * kDepth * 2 +
                         rounds * (cluster > 1 ? 24e3 : 8e3);
    if (least != 0 && bytes >= least) continue;
    least = bytes;
    best = plan;
  }
  return best;
}

int grouped_rows(std::int64_t rows, int matrices) {
  // Half as many again as if all had the same: few then need a second group.
  const std::int64_t expected = blocks_of(3 * rows, 2 * std::int64_t{matrices});
  return expected <= 16 ? 16 : expected <= 32 ? 32 : expected <= 64 ? 64 : 128;
}

ProductPlan plan_grouped(std::int64_t columns, std::int64_t k, std::int64_t rows, int matrices,
                         int parts, int multiprocessors) {
  ProductPlan plan = {};
  plan.rows = grouped_rows(rows, matrices);
  plan.row_blocks = 1;
  // Of narrow blocks there are enough for a few rows; wide ones read the rows less often.
  const std::int64_t used = std::min<std::int64_t>(rows, matrices);
  const bool wide = used * blocks_of(columns, 2 * kColumns) >= multiprocessors;
  plan.groups = parts == 1 ? (wide ? 2 : 1) : parts;
  plan.tiles = static_cast<int>(blocks_of(columns, plan.groups / parts * kColumns));
  plan.chunks = static_cast<int>(blocks_of(k, kDepth));
  plan.cluster = 1;
  const std::int64_t most_groups = std::min(rows, matrices + rows / plan.rows);
  plan.clusters =
      static_cast<int>(std::min<std::int64_t>(multiprocessors, most_groups * plan.tiles));
  const int stage = stage_bytes(plan.groups, plan.rows);
  const int sums = sums_bytes(plan.groups, plan.rows);
  const int fixed = kBarrierBytes + kScaleBytes + 1024 + sums;
  plan.stages = std::min({kGroupedRingBytes / stage, (kSharedBytes - fixed) / stage, kMostStages});
  plan.shared_bytes = fixed + plan.stages * stage;
  return plan;
}

SplitPlan plan_split(std::int64_t columns, std::int64_t k, std::int64_t rows, int multiprocessors) {
  SplitPlan plan = {};
  plan.rows = rows <= 16 ? 16 : 32;
  plan.tiles = static_cast<int>(blocks_of(columns, kColumns));
  plan.chunks = static_cast<int>(blocks_of(k, kDepth));
  plan.parts = std::clamp(std::min(multiprocessors / plan.tiles, plan.chunks / kFewestChunks), 1,
                          kMostParts);
  const int stage = stage_bytes(1, plan.rows);
  plan.stages = std::min(
      {kRingBytes / stage, kMostStages, static_cast<int>(blocks_of(plan.chunks, plan.parts))});
  plan.shared_bytes = kSplitSharedBytes + 1024 + plan.stages * stage;
  return plan;
}

std::string split_problem(DType weight, std::int64_t n, std::int64_t k, std::int64_t rows,
                          const DeviceTraits& traits) {
  if (std::string problem = product_problem(weight, n, k, traits); !problem.empty()) return problem;
  if (rows < kFewestRows || rows > kMostSplitRows)
    return fmt::format("takes {} to {} rows", kFewestRows, kMostSplitRows);
  if (!split_fits(n, rows, traits.parallelism)) return "has not so many multiprocessors";
  return {};
}

bool split_fits(std::int64_t columns, std::int64_t rows, int multiprocessors) {
  return rows >= kFewestRows && rows <= kMostSplitRows &&
         blocks_of(columns, kColumns) <= multiprocessors;
}

}  // namespace millrace::cuda::hopper
