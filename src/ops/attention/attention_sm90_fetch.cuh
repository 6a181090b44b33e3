// The fetching waves of attention_sm90.cu.
#pragma once

#include "ops/attention/attention_sm90.cuh"

namespace millrace::cuda::sm90 {

template <int kStages>
__device__ void init_barriers(Shared<kStages>& shared) {
  for (int i = 0; i < kItems; ++i) {
    init_barrier(&shared.item_full[i], 1);
    init_barrier(&shared.item_empty[i], kGroups * 4);
    for (int g = 0; g < kGroups; ++g) init_barrier(&shared.q_full[i][g], 1);
  }
  for (int i = 0; i < kStages; ++i) {
    init_barrier(&shared.k_full[i], 1);
    init_barrier(&shared.v_full[i], 1);
    init_barrier(&shared.k_empty[i], kGroups * 4);
    init_barrier(&shared.v_empty[i], kGroups * 4);
  }
  init_barrier(&shared.v_part, 1);
  publish_barriers();
}

// Finds items by number, in ascending order. Spans follow one another; within a span late tokens
// come first, since they see most. A wave looks at as many spans at once as it has lanes.
class ItemFinder {
 public:
  __device__ ItemFinder(const AttentionParams& p, int group)
      : p_(p), per_item_(kGroups * (kRows / group)) {
    lane_ = static_cast<int>(threadIdx.x) % kLanes;
    look();
  }

  // The same in every lane.
  __device__ Item find(int number) {
    while (number >= before_ + in_all_) {
      first_span_ += kLanes;
      if (first_span_ >= p_.batch.span_count) return {0, 0, 0, -1, 0, 0};
      before_ += in_all_;
      look();
    }
    const int rest = number - before_;
    const int from = __ffs(static_cast<int>(__ballot_sync(~0u, rest < up_to_))) - 1;
    const int within = rest - __shfl_sync(~0u, up_to_ - items_, from);
    const int count = __shfl_sync(~0u, span_.count, from);
    const int first_row = __shfl_sync(~0u, span_.first_row, from);
    const int position = __shfl_sync(~0u, span_.position, from);
    const int table = __shfl_sync(~0u, span_.table, from);
    const int piece = (count - 1) / per_item_ - within / p_.cache.kv_heads;
    const int token = piece * per_item_;
    return {first_row + token,
            position + token,
            min(per_item_, count - token),
            within % p_.cache.kv_heads,
            table,
            position + count};
  }

 private:
  __device__ void look() {
    const int span = first_span_ + lane_;
    items_ = 0;
    if (span < p_.batch.span_count) {
      span_ = p_.batch.spans[span];
      // Spans of one row are decodes; other blocks see to them.
      if (span_.count > 1) items_ = (span_.count + per_item_ - 1) / per_item_ * p_.cache.kv_heads;
    }
    up_to_ = items_;
    for (int d = 1; d < kLanes; d *= 2) {
      const int below = __shfl_up_sync(~0u, up_to_, d);
      if (lane_ >= d) up_to_ += below;
    }
    in_all_ = __shfl_sync(~0u, up_to_, kLanes - 1);
  }

  const AttentionParams& p_;
  int per_item_;  // tokens
  int lane_;
  int first_span_ = 0;
  int before_ = 0;  // items of spans before first_span_
  SpanView span_ = {};
  int items_ = 0, up_to_ = 0, in_all_ = 0;  // of this lane's span, with those before it, of all
};

// Numbers of items come from `taken`, a counter that all blocks share and that is zero again
// afterwards (with a second word that counts the blocks that have finished); null: by turns.
class ItemNumbers {
 public:
  __device__ explicit ItemNumbers(int* taken) : taken_(taken) {}
  __device__ int next() {
    const int turn = turn_++;
    if (taken_ == nullptr) return turn * static_cast<int>(gridDim.x) + static_cast<int>(blockIdx.x);
    int number = 0;
    if (threadIdx.x % kLanes == 0) number = atomicAdd(taken_, 1);
    return __shfl_sync(~0u, number, 0);
  }
  __device__ void finish() {
    if (taken_ == nullptr || threadIdx.x % kLanes != 0) return;
    __threadfence();
    if (atomicAdd(taken_ + 1, 1) != static_cast<int>(gridDim.x) - 1) return;
    taken_[0] = 0;
    taken_[1] = 0;
  }

 private:
  int* taken_;
  int turn_ = 0;
};

// Rows of a tile of values that lie before `from` or from `end` on become zero. A wave.
inline __device__ void clear_invisible(BF16 (&rows)[kTile][kDim], int base, int from, int end) {
  constexpr int kPieces = kDim * 2 / 16;
  for (int i = static_cast<int>(threadIdx.x) % kLanes; i < kTile * kPieces; i += kLanes) {
    const int at = base + i / kPieces;
    if (at < from || at >= end) reinterpret_cast<uint4*>(rows)[i] = uint4{};
  }
  hopper::publish_shared();
  __syncwarp();
}

template <int kStages>
__device__ void fetch_keys_and_values(Shared<kStages>& shared, const AttentionParams& p,
                                      const CUtensorMap* keys, const CUtensorMap* values, int group,
                                      int* taken) {
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  if (lane == 0) {
    hopper::prefetch_map(keys);
    hopper::prefetch_map(values);
  }
  ItemFinder finder(p, group);
  ItemNumbers numbers(taken);
  RingPlace<kItems> slot;
  RingPlace<kStages> place;
  std::uint32_t part_parity = 0;
  for (;; slot.next()) {
    const Item item = finder.find(numbers.next());
    hopper::wait_for(&shared.item_empty[slot.stage()], slot.parity() ^ 1);
    if (lane == 0) {
      shared.items[slot.stage()] = item;
      arrive(&shared.item_full[slot.stage()]);
    }
    if (item.kv_head < 0) break;
    const std::int32_t* blocks = p.batch.block_tables + item.table * p.batch.table_stride;
    const Tiles tiles = tiles_of(item, p.window);
    for (int tile = tiles.last; tile >= tiles.first; --tile, place.next()) {
      const int base = tile * kTile;
      // A block of the tile a lane.
      const int at = base + lane * kBlockTokens;
      const bool there = lane < kTileBlocks && at < item.end && at + kBlockTokens > tiles.from;
      const int row =
          there ? (blocks[at / kBlockTokens] * p.cache.kv_heads + item.kv_head) * kBlockTokens : 0;
      const int bytes = __popc(__ballot_sync(~0u, there)) * kBoxBytes;
      const int s = place.stage();
      hopper::wait_for(&shared.k_empty[s], place.parity() ^ 1);
      if (lane == 0) expect_bytes(&shared.k_full[s], bytes);
      __syncwarp();
      if (there)
        hopper::copy_box(shared.k[s][lane * kBlockTokens], keys, 0, row, &shared.k_full[s]);
      hopper::wait_for(&shared.v_empty[s], place.parity() ^ 1);
      const bool whole = base >= tiles.from && base + kTile <= item.end;
      std::uint64_t* const full = whole ? &shared.v_full[s] : &shared.v_part;
      if (lane == 0) expect_bytes(full, bytes);
      __syncwarp();
      if (there) hopper::copy_box(shared.v[s][lane * kBlockTokens], values, 0, row, full);
      if (whole) continue;
      hopper::wait_for(&shared.v_part, part_parity);
      part_parity ^= 1;
      clear_invisible(shared.v[s], base, tiles.from, item.end);
      if (lane == 0) arrive(&shared.v_full[s]);
    }
  }
  numbers.finish();
}

// Rows of one multiplying warpgroup, in the order of products: see hopper::describe(). A wave.
template <int kStages>
__device__ void fetch_queries(Shared<kStages>& shared, const AttentionParams& p, int group,
                              int warpgroup) {
  constexpr int kPieces = kDim * 2 / 16;
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int per_group = kRows / group;
  const auto* q = static_cast<const BF16*>(p.q.data);
  for (RingPlace<kItems> slot;; slot.next()) {
    hopper::wait_for(&shared.item_full[slot.stage()], slot.parity());
    const Item item = shared.items[slot.stage()];
    if (item.kv_head >= 0) {
      BF16(&rows)[kRows][kDim] = shared.q[slot.stage()][warpgroup];
      const int tokens = min(per_group, item.tokens - warpgroup * per_group);
      const int first_row = item.first_row + warpgroup * per_group;
      for (int i = lane; i < tokens * group * kPieces; i += kLanes) {
        const int r = i / kPieces;
        const int piece = i % kPieces;
        const std::int64_t from = std::int64_t{first_row + r / group} * p.q.stride +
                                  (item.kv_head * group + r % group) * kDim + piece * 8;
        gpu::copy_async(&rows[r][(piece ^ r % 8) * 8], q + from);
      }
      gpu::end_copies();
      gpu::wait_copies<0>();
      hopper::publish_shared();
    }
    __syncwarp();
    if (lane == 0) arrive(&shared.q_full[slot.stage()][warpgroup]);
    if (item.kv_head < 0) return;
  }
}

}  // namespace millrace::cuda::sm90
