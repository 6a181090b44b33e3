// The multiplying warpgroups of attention_sm90.cu.
#pragma once

#include "ops/attention/attention_sm90.cuh"

namespace millrace::cuda::sm90 {

template <int kStages>
class Multiplier {
 public:
  __device__ Multiplier(Shared<kStages>& shared, const AttentionParams& p, int group)
      : shared_(shared), p_(p), group_(group) {}

  __device__ void run() {
    for (;; slot_.next()) {
      hopper::wait_for(&shared_.q_full[slot_.stage()][warpgroup()], slot_.parity());
      if (same_in_wave(item().kv_head) < 0) return;
      visit();
      write();
      __syncwarp();
      if (lane() == 0) arrive(&shared_.item_empty[slot_.stage()]);
    }
  }

 private:
  __device__ void release(std::uint64_t* empty) { hopper::arrive_if(lane() == 0, empty); }

  __device__ const Item& item() const { return shared_.items[slot_.stage()]; }
  __device__ std::uint64_t queries() const {
    return hopper::describe(shared_.q[slot_.stage()][warpgroup()]);
  }
  __device__ int warpgroup() const {
    return same_in_wave(static_cast<int>(threadIdx.x) / kGroupThreads - 1);
  }
  // Asked for anew wherever they are used: what follows from them would otherwise be worked out
  // ahead of the loop and take registers that the sums need.
  __device__ unsigned lane() const { return hopper::thread_anew() % kLanes; }
  __device__ unsigned wave() const { return hopper::thread_anew() / kLanes % 4; }

  __device__ void visit() {
    const Tiles tiles = tiles_of(item(), p_.window);
    const int first = same_in_wave(tiles.first);
    // Tiles from first_whole to last_whole every row sees as a whole.
    const int last_whole =
        same_in_wave((item().position + warpgroup() * (kRows / group_) + 1) / kTile - 1);
    int first_whole = 0;
    if (p_.window > 0) {
      const int from = item().position + (warpgroup() + 1) * (kRows / group_) - p_.window;
      first_whole = same_in_wave((max(from, 0) + kTile - 1) / kTile);
    }
    int tile = same_in_wave(tiles.last);
#pragma unroll
    for (int i = 0; i < 32; ++i) out_[i] = 0;
    best_[0] = best_[1] = -INFINITY;
    total_[0] = total_[1] = 0;

    hopper::wait_for(&shared_.k_full[place_.stage()], place_.parity());
    hopper::hold(scores_);
    hopper::begin_products();
    multiply_keys(place_.stage());
    hopper::end_products();
    hopper::wait_products<0>();
    hopper::hold(scores_);
    release(&shared_.k_empty[place_.stage()]);
    place_.next();
    if (tile > last_whole || tile < first_whole) mask(tile * kTile);
    float rescale[2];
    weigh(rescale);
    pack();
    --tile;
    for (; tile >= first && tile > last_whole; --tile) step<true>(tile);
    for (; tile >= first_whole; --tile) step<false>(tile);
    for (; tile >= first; --tile) step<true>(tile);
    const RingPlace<kStages> values = place_.before();
    hopper::wait_for(&shared_.v_full[values.stage()], values.parity());
    hopper::hold(out_);
    hopper::hold(weights_);
    hopper::begin_products();
    multiply_values(values.stage());
    hopper::end_products();
    hopper::wait_products<0>();
    hopper::hold(out_);
    release(&shared_.v_empty[values.stage()]);
  }

  // The scores of a tile, and the sums of the one before it.
  template <bool kMasked>
  __device__ __forceinline__ void step(int tile) {
    const RingPlace<kStages> values = place_.before();
    hopper::wait_for(&shared_.v_full[values.stage()], values.parity());
    hopper::wait_for(&shared_.k_full[place_.stage()], place_.parity());
    hopper::hold(scores_);
    hopper::hold(out_);
    hopper::hold(weights_);
    hopper::begin_products();
    multiply_keys(place_.stage());
    hopper::end_products();
    multiply_values(values.stage());
    hopper::end_products();
    hopper::wait_products<1>();
    hopper::hold(scores_);
    release(&shared_.k_empty[place_.stage()]);
    if constexpr (kMasked) mask(tile * kTile);
    float rescale[2];
    weigh(rescale);
    hopper::wait_products<0>();
    hopper::hold(out_);
    hopper::hold(weights_);
    release(&shared_.v_empty[values.stage()]);
    place_.next();
    pack();
#pragma unroll
    for (int i = 0; i < 32; ++i) out_[i] *= rescale[i / 2 % 2];
  }

  __device__ void multiply_keys(int stage) {
    const std::uint64_t queries = this->queries();
    const std::uint64_t keys = hopper::describe(shared_.k[stage]);
#pragma unroll
    for (int step = 0; step < kDim / 16; ++step)
      hopper::multiply_64x128x16(scores_, hopper::advance(queries, step * 32),
                                 hopper::advance(keys, step * 32), step > 0);
  }
  __device__ void multiply_values(int stage) {
    const std::uint64_t values = hopper::describe(shared_.v[stage]);
#pragma unroll
    for (int step = 0; step < kTile / 16; ++step)
      hopper::multiply_64x64x16(out_, weights_ + 4 * step,
                                hopper::advance(values, step * 16 * kDim * 2));
  }

  __device__ void mask(int base) {
    const unsigned lane = this->lane();
    const unsigned row = wave() * 16 + lane / 4;
    const unsigned group = static_cast<unsigned>(group_);
    const int first = item().position + warpgroup() * (kRows / group_);
    const int positions[2] = {first + static_cast<int>(row / group),
                              first + static_cast<int>((row + 8) / group)};
    const int column = base + static_cast<int>(lane % 4 * 2);
#pragma unroll
    for (int i = 0; i < kTile / 2; ++i) {
      const int at = column + i / 4 * 8 + i % 2;
      const int position = positions[i / 2 % 2];
      const bool visible = at <= position && (p_.window == 0 || at > position - p_.window);
      if (!visible) scores_[i] = -INFINITY;
    }
  }

  // Scores to weights; `rescale` is what was summed before has to be multiplied by.
  __device__ void weigh(float (&rescale)[2]) {
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      float highest = best_[h];
#pragma unroll
      for (int i = 0; i < kTile / 2; i += 4)
        highest = fmaxf(highest, fmaxf(scores_[i + 2 * h], scores_[i + 2 * h + 1]));
      highest = fmaxf(highest, __shfl_xor_sync(~0u, highest, 1));
      highest = fmaxf(highest, __shfl_xor_sync(~0u, highest, 2));
      const float zero = highest == -INFINITY ? 0.0f : highest * p_.scale;
      rescale[h] = gpu::exp2_fast(fmaf(best_[h], p_.scale, -zero));
      best_[h] = highest;
      float sums[2] = {0, 0};
#pragma unroll
      for (int i = 0; i < kTile / 2; i += 4)
#pragma unroll
        for (int k = 0; k < 2; ++k) {
          float& score = scores_[i + 2 * h + k];
          score = gpu::exp2_fast(fmaf(score, p_.scale, -zero));
          sums[k] += score;
        }
      total_[h] = fmaf(total_[h], rescale[h], sums[0] + sums[1]);
    }
  }

  // Weights as factors of the products with values: pairs of columns are pairs of tokens.
  __device__ void pack() {
#pragma unroll
    for (int i = 0; i < kTile / 4; ++i)
      weights_[i] = gpu::pack_bf16(scores_[2 * i], scores_[2 * i + 1]);
  }

  // Rows of the output, by way of this wave's part of the queries, which are done with.
  __device__ void write() {
    const Item item = this->item();
    BF16(&rows)[kRows][kDim] = shared_.q[slot_.stage()][warpgroup()];
    const unsigned lane = this->lane();
    const unsigned wave_row = wave() * 16;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
      total_[h] += __shfl_xor_sync(~0u, total_[h], 1);
      total_[h] += __shfl_xor_sync(~0u, total_[h], 2);
      const float inverse = 1.0f / total_[h];
      const unsigned r = wave_row + lane / 4 + 8 * h;
#pragma unroll
      for (int j = 0; j < 8; ++j)
        *reinterpret_cast<std::uint32_t*>(&rows[r][(j ^ r % 8) * 8 + lane % 4 * 2]) =
            gpu::pack_bf16(out_[4 * j + 2 * h] * inverse, out_[4 * j + 2 * h + 1] * inverse);
    }
    __syncwarp();
    const unsigned group = static_cast<unsigned>(group_);
    const unsigned per_group = kRows / group;
    auto* out = static_cast<BF16*>(p_.out.data) + item.first_row * p_.out.stride +
                item.kv_head * group_ * kDim;
    const unsigned piece = lane % 8;
#pragma unroll 1
    for (unsigned r = wave_row + lane / 8; r < wave_row + 16; r += 4) {
      const unsigned token = warpgroup() * per_group + r / group;
      if (r / group >= per_group || token >= static_cast<unsigned>(item.tokens)) continue;
      *reinterpret_cast<uint4*>(out + token * p_.out.stride + r % group * kDim + piece * 8) =
          *reinterpret_cast<const uint4*>(&rows[r][(piece ^ r % 8) * 8]);
    }
  }

  Shared<kStages>& shared_;
  const AttentionParams& p_;
  int group_;
  RingPlace<kItems> slot_;    // of the present item
  RingPlace<kStages> place_;  // of the next tile's keys
  float scores_[kTile / 2];
  std::uint32_t weights_[kTile / 4];
  float out_[32];
  float best_[2], total_[2];
};

}  // namespace millrace::cuda::sm90
