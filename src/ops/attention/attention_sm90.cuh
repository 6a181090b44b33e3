// Prefill attention for Hopper: see attention_sm90.cu for its design.
#pragma once

#include "device/cuda/hopper.cuh"
#include "device/gpu/gpu.h"
#include "ops/attention/attention_params.h"

namespace millrace::cuda::sm90 {

constexpr int kDim = 64;
constexpr int kBlockTokens = 16;
constexpr int kTile = 128;  // cached tokens a turn
constexpr int kTileBlocks = kTile / kBlockTokens;
constexpr int kBoxBytes = kBlockTokens * kDim * 2;
constexpr int kGroups = 3;  // warpgroups that multiply
constexpr int kRows = 64;   // query rows of each
constexpr int kLanes = 32;
constexpr int kGroupThreads = 4 * kLanes;
constexpr int kThreads = (1 + kGroups) * kGroupThreads;
constexpr int kItems = 2;  // at once in shared memory: one worked on, one that is fetched
constexpr float kLog2E = 1.44269504f;

// Neighbouring tokens of a span, the query heads of one KV head.
struct Item {
  int first_row;  // of the step
  int position;   // of the first token
  int tokens;     // at most kGroups * (kRows / group)
  int kv_head;    // -1: there is no more work
  int table;      // row of the block tables
  int end;        // of the span: the positions from here on hold anything
};

template <int kStages>
struct Shared {
  alignas(1024) BF16 q[kItems][kGroups][kRows][kDim];
  alignas(1024) BF16 k[kStages][kTile][kDim];
  alignas(1024) BF16 v[kStages][kTile][kDim];
  Item items[kItems];
  std::uint64_t item_full[kItems];
  std::uint64_t item_empty[kItems];
  std::uint64_t q_full[kItems][kGroups];
  std::uint64_t k_full[kStages], k_empty[kStages];
  std::uint64_t v_full[kStages], v_empty[kStages];
  std::uint64_t v_part;  // of a tile that is not whole
};

// Which stage of a ring of kStages, a power of two, and the parity of its present round.
template <int kStages>
class RingPlace {
 public:
  __device__ int stage() const { return count_ % kStages; }
  __device__ std::uint32_t parity() const { return count_ / kStages % 2; }
  __device__ void next() { ++count_; }
  __device__ RingPlace before() const { return RingPlace(count_ - 1); }
  __device__ explicit RingPlace(unsigned count = 0) : count_(count) {}

 private:
  unsigned count_;
};

// What is the same in all lanes, so that the compiler knows it too.
inline __device__ int same_in_wave(int value) {
  return __shfl_sync(~0u, value, 0);
}

struct Tiles {
  int first, last;  // positions that any row sees lie in these
  int from;         // and begin here
};
inline __device__ Tiles tiles_of(const Item& item, int window) {
  const int from = window > 0 ? max(0, item.position - window + 1) : 0;
  return {from / kTile, (item.position + item.tokens - 1) / kTile, from};
}

}  // namespace millrace::cuda::sm90
