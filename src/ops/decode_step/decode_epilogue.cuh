// A wave adds up what the multiplying waves leave, does what follows the product (norm's scale,
// gates and convolution, SwiGLU, residual) and hands the result to all multiprocessors. A lane has
// two neighbouring rows of weights for one sequence.
//
// Where a cluster shares units, sums over the columns of others come through shared memory. Units
// are worked on in groups of as many as there are blocks in the cluster, one owned by each: a wave
// sends what it has of the others' before it waits for what they have of its own. Such places are
// used in turn by two phases, and a phase cannot begin before all of the cluster are through with
// the one before the last: its input depends on all they made.
#pragma once

#include "ops/decode_step/decode_block.cuh"

namespace millrace::MILLRACE_GPU::decode {

template <int kRows>
class Epilogue {
 public:
  // `wave` of kDecodeEpilogueWaves, which take groups in turn.
  __device__ Epilogue(const DecodeStepParams& p, const Block& b, int wave)
      : p_(p), b_(b), wave_(wave) {
    lane_ = static_cast<int>(threadIdx.x) % kLanes;
    row_ = lane_ / 4;
    pair_ = lane_ % 4;
    mine_ = row_ < b.rows;
    if (mine_) span_ = p.batch.spans[row_];
  }

  __device__ void run() {
    bool has_residual = false;
#pragma unroll 1
    for (int phase = 0; phase < p_.phase_count && !*b_.stuck; ++phase) {
      const DecodeStop stop = b_.stops[phase];
      const DecodePhase& ph = stop.phase;
      if (ph.kind == DecodePhaseKind::Attention || stop.units.first == stop.units.last) continue;
      if (phase == p_.jam && blockIdx.x == 0) continue;
      phase_ = phase;
      split_ = ph.split;
      rank_ = split_ == 1 ? 0 : b_.rank;
      if (ph.kind == DecodePhaseKind::Residual && !has_residual) {
        take_embedding(stop);
        has_residual = true;
      }
      const bool publishes = work(stop);
      if (split_ > 1) near_turn_ ^= 1;
      sync_wave();
      if (lane_ == 0) {
        if (publishes && ph.kind != DecodePhaseKind::Head) count_up(b_.hint(phase));
        if (publishes) stamp(p_, phase, kStampPublished, ticks());
      }
    }
    if (lane_ == 0) b_.finished[wave_] = 1;
  }

 private:
  // What a convolution knows of its two channels before the product is there.
  struct Columns {
    Floats2 sum;  // older columns, weighted
    Floats2 tap;
    Floats2* now;  // where the new column goes
  };

  // All units of a phase; has this wave made any output?
  __device__ bool work(const DecodeStop& stop) {
    const DecodePhase& ph = stop.phase;
    const bool normed = ph.source == DecodeSource::Residual || ph.source == DecodeSource::Embedding;
    const int units = stop.units.last - stop.units.first;
    std::uint32_t* out = b_.exchange + row_ * p_.row_words + ph.out;
    bool publishes = false;
    scale_ = 1.0f;
#pragma unroll 1
    for (int group = 0; group * split_ < units; ++group) {
      const int left = units - group * split_;
      const int members = left < split_ ? left : split_;
      if (group % kDecodeEpilogueWaves != wave_) {
        for (int i = 0; i < members * ph.subs; ++i) part_.advance(p_.part_buffers);
        continue;
      }
      const bool owns = rank_ < members;
      const int unit = stop.units.first + group * split_ + rank_;
      Columns columns = {};
      if (owns && ph.kind == DecodePhaseKind::Conv) columns = older_columns(ph, unit);
      Floats2 sums[3] = {};
#pragma unroll 1
      for (int member = 0; member < members; ++member)
#pragma unroll 1
        for (int sub = 0; sub < ph.subs; ++sub) {
          wait_for(b_, &b_.part_full[part_.at], part_.parity);
          const Floats2 sum = take();
          if (normed && member == 0 && sub == 0 && group == wave_) take_scale(ph);
          if (member != rank_) send(sum, member, group * ph.subs + sub);
          // Places are constants, or the sums would leave the registers.
          if (member == rank_ && sub == 0) sums[0] = sum;
          if (member == rank_ && sub == 1) sums[1] = sum;
          if (member == rank_ && sub == 2) sums[2] = sum;
        }
      if (!owns) continue;
      publishes = true;
#pragma unroll
      for (int sub = 0; sub < 3; ++sub) {
        if (sub >= ph.subs) break;
        if (split_ > 1) receive(sums[sub], group * ph.subs + sub);
        sums[sub].x *= scale_;
        sums[sub].y *= scale_;
      }
      finish(ph, unit, group, sums, columns, out);
    }
    return publishes;
  }

  // The next eight rows' sums, of all waves.
  __device__ Floats2 take() {
    Floats2 sum = {};
    if (mine_) {
      const float* parts = b_.parts + part_.at * kDecodeWaves * kRows * kDecodeSubRows +
                           row_ * kDecodeSubRows + 2 * pair_;
      Floats2 v[kDecodeWaves];
#pragma unroll
      for (int w = 0; w < kDecodeWaves; ++w)
        v[w] = *reinterpret_cast<const Floats2*>(parts + w * kRows * kDecodeSubRows);
      sum = {((v[0].x + v[1].x) + (v[2].x + v[3].x)) + ((v[4].x + v[5].x) + (v[6].x + v[7].x)),
             ((v[0].y + v[1].y) + (v[2].y + v[3].y)) + ((v[4].y + v[5].y) + (v[6].y + v[7].y))};
    }
    sync_wave();
    if (lane_ == 0) arrive(&b_.part_empty[part_.at]);
    part_.advance(p_.part_buffers);
    return sum;
  }

  // Where the block that is `from` among the others leaves its sums.
  __device__ std::byte* near_place(int slot, int from) const {
    const int at = (near_turn_ * p_.near_slots + slot) * (split_ - 1) + from;
    return b_.near_sums + at * decode_near_bytes(kRows) + 8 * lane_;
  }
  __device__ void send(const Floats2& sum, int owner, int slot) const {
    const int from = rank_ < owner ? rank_ : rank_ - 1;
    if (mine_)
      store_near(near_place(slot, from), owner, {bits_of_float(sum.x), bits_of_float(sum.y)});
  }
  __device__ void receive(Floats2& sum, int slot) {
    if (!mine_) return;
    for (int other = 0; other < split_ - 1; ++other) {
      const Words2 v = await_near(near_place(slot, other));
      sum.x += float_of_bits(v.x);
      sum.y += float_of_bits(v.y);
    }
  }
  // What another block stores here; leaves the place empty.
  __device__ Words2 await_near(std::byte* place) {
    Words2 v = load_near(place);
    while ((v.x == kDecodeUnwritten || v.y == kDecodeUnwritten) && keep_looking(b_))
      v = load_near(place);
    *reinterpret_cast<Words2*>(place) = {kDecodeUnwritten, kDecodeUnwritten};
    return v;
  }

  // The norm's factor, which is that of all sums.
  __device__ void take_scale(const DecodePhase& ph) {
    float total = 0;
    if (mine_) {
      const float* squares = b_.squares + phase_ % 2 * kDecodeWaves * kDecodeStepMostRows + row_;
#pragma unroll
      for (int w = 0; w < kDecodeWaves; ++w) total += squares[w * kDecodeStepMostRows];
      if (split_ > 1 && pair_ == 0) total = add_others_squares(total);
    }
    if (split_ > 1) total = shuffle(total, lane_ & ~3);
    scale_ = inverse_root(total / static_cast<float>(ph.k) + p_.epsilon);
  }
  __device__ float add_others_squares(float own) {
    constexpr int kRowBytes = 8 * kDecodeStepMostRows;
    const int others = split_ - 1;
    std::byte* places = b_.near_squares +
                        (near_turn_ * kDecodeEpilogueWaves + wave_) * others * kRowBytes + 8 * row_;
    for (int rank = 0; rank < split_; ++rank)
      if (rank != rank_)
        store_near(places + (rank_ < rank ? rank_ : rank_ - 1) * kRowBytes, rank,
                   {bits_of_float(own), 0});
    float total = own;
    for (int other = 0; other < others; ++other)
      total += float_of_bits(await_near(places + other * kRowBytes).x);
    return total;
  }

  // This lane alone touches its channels' ring.
  __device__ Columns older_columns(const DecodePhase& ph, int unit) const {
    Columns columns = {};
    if (!mine_) return columns;
    const std::int64_t channel = unit * kDecodeSubRows + 2 * pair_;
    float* ring = p_.conv_states + ph.cache_layer * p_.conv_layer_stride +
                  span_.slot * p_.ring * p_.hidden + channel;
    const float* kernel = ph.conv_kernel + channel;
#pragma unroll 1
    for (int k = 0; k < p_.taps - 1; ++k) {
      const int position = span_.position - (p_.taps - 1 - k);
      if (position < span_.conv_from || position < 0) continue;
      const Floats2 v = *reinterpret_cast<const Floats2*>(
          ring + position % static_cast<int>(p_.ring) * p_.hidden);
      const Floats2 w = *reinterpret_cast<const Floats2*>(kernel + k * p_.hidden);
      columns.sum.x = fmaf(w.x, v.x, columns.sum.x);
      columns.sum.y = fmaf(w.y, v.y, columns.sum.y);
    }
    columns.tap = *reinterpret_cast<const Floats2*>(kernel + (p_.taps - 1) * p_.hidden);
    columns.now =
        reinterpret_cast<Floats2*>(ring + span_.position % static_cast<int>(p_.ring) * p_.hidden);
    return columns;
  }

  // What follows the product.
  __device__ void finish(const DecodePhase& ph, int unit, int own_unit, const Floats2 (&sums)[3],
                         const Columns& columns, std::uint32_t* out) {
    const Floats2 sum = sums[0];
    if (ph.kind == DecodePhaseKind::Swiglu) {  // rows alternate: gate, up
      const float value = divide_fast(sum.x, 1.0f + exp_fast(-sum.x)) * sum.y;
      const float next = shuffle(value, (lane_ + 1) % kLanes);
      if (mine_ && pair_ % 2 == 0) store_word(out + unit * 2 + pair_ / 2, pack_pair(value, next));
      return;
    }
    if (!mine_) return;
    if (ph.kind == DecodePhaseKind::Residual) {
      Floats2* at = residual(own_unit);
      const Floats2 now = {at->x + sum.x, at->y + sum.y};
      store_words(out + unit * kDecodeSubRows + 2 * pair_, bits_of_float(now.x),
                  bits_of_float(now.y));
      *at = now;
    } else if (ph.kind == DecodePhaseKind::Conv) {
      const Floats2 now = {rounded(sum.x) * rounded(sums[2].x),
                           rounded(sum.y) * rounded(sums[2].y)};
      store_word(out + unit * 4 + pair_,
                 pack_pair(rounded(sums[1].x) * fmaf(columns.tap.x, now.x, columns.sum.x),
                           rounded(sums[1].y) * fmaf(columns.tap.y, now.y, columns.sum.y)));
      *columns.now = now;
    } else if (ph.kind == DecodePhaseKind::Qkv) {
      store_word(out + unit * 4 + pair_, pack_pair(sum.x, sum.y));
    } else {
      *reinterpret_cast<Floats2*>(p_.logits + row_ * p_.logits_stride + unit * kDecodeSubRows +
                                  2 * pair_) = sum;
    }
  }

  __device__ Floats2* residual(int own_unit) const {
    return reinterpret_cast<Floats2*>(b_.residual + (own_unit * kRows + row_) * kDecodeSubRows +
                                      2 * pair_);
  }
  // The residual stream begins as the token's embedding.
  __device__ void take_embedding(const DecodeStop& stop) const {
    if (!mine_) return;
    const auto* table = static_cast<const std::uint16_t*>(p_.embedding);
    const std::int64_t token = token_of(p_, row_);
    for (int group = wave_;; group += kDecodeEpilogueWaves) {
      const int unit = stop.units.first + group * split_ + rank_;
      if (unit >= stop.units.last) break;
      const auto v = *reinterpret_cast<const std::uint32_t*>(table + token * p_.hidden +
                                                             unit * kDecodeSubRows + 2 * pair_);
      *residual(group) = {low_half(v), high_half(v)};
    }
  }

  const DecodeStepParams& p_;
  const Block& b_;
  int wave_, lane_, row_, pair_;
  bool mine_;
  SpanView span_ = {};
  Turn part_;
  int phase_ = 0;
  int split_ = 1;
  int rank_ = 0;  // among those that share units
  int near_turn_ = 0;
  float scale_ = 1.0f;
};

}  // namespace millrace::MILLRACE_GPU::decode
