// One wave adds up what the multiplying waves leave, does what follows the product (norm's scale,
// gates and convolution, SwiGLU, residual) and hands the result to all multiprocessors. A lane has
// two neighbouring rows of weights for one sequence.
#pragma once

#include "ops/decode_step/decode_block.cuh"

namespace millrace::MILLRACE_GPU::decode {

template <int kRows>
class Epilogue {
 public:
  __device__ Epilogue(const DecodeStepParams& p, const Block& b) : p_(p), b_(b) {
    lane_ = static_cast<int>(threadIdx.x) % kLanes;
    row_ = lane_ / 4;
    pair_ = lane_ % 4;
    mine_ = row_ < b.rows;
    if (mine_) span_ = p.batch.spans[row_];
  }

  __device__ void run() {
    bool has_residual = false;
    for (int phase = 0; phase < p_.phase_count && !*b_.stuck; ++phase) {
      const DecodeStop stop = b_.stops[phase];
      const DecodePhase& ph = stop.phase;
      if (ph.kind == DecodePhaseKind::Attention || stop.units.first == stop.units.last) continue;
      if (phase == p_.jam && blockIdx.x == 0) continue;
      if (ph.kind == DecodePhaseKind::Residual && !has_residual) {
        take_embedding(stop);
        has_residual = true;
      }
      const bool normed =
          ph.source == DecodeSource::Residual || ph.source == DecodeSource::Embedding;
      scale_ = 1.0f;
      std::uint32_t* out = b_.exchange + row_ * p_.row_words + ph.out;
      const bool convolves = ph.kind == DecodePhaseKind::Conv;
      // Loaded one unit ahead: before its sums are waited for, and those of the unit before.
      Columns next = {};
      if (convolves) next = older_columns(ph, stop.units.first);
#pragma unroll 1
      for (int unit = stop.units.first; unit < stop.units.last; ++unit) {
        const Columns columns = next;
        Floats2 sums[3];
        if (convolves && unit + 1 < stop.units.last) next = older_columns(ph, unit + 1);
#pragma unroll
        for (int sub = 0; sub < 3; ++sub) {
          if (sub >= ph.subs) break;
          wait_for(b_, &b_.part_full[part_.at], part_.parity);
          sums[sub] = take();
          if (normed && sub == 0 && unit == stop.units.first) take_scale(ph, phase);
          sums[sub].x *= scale_;
          sums[sub].y *= scale_;
        }
        finish(ph, unit, unit - stop.units.first, sums, columns, out);
      }
      sync_wave();
      if (lane_ == 0) {
        if (ph.kind != DecodePhaseKind::Head) count_up(b_.hint(phase));
        stamp(p_, phase, kStampPublished, ticks());
      }
    }
    if (lane_ == 0) *b_.finished = 1;
  }

 private:
  // What a convolution knows of its two channels before the product is there.
  struct Columns {
    Floats2 sum;  // older columns, weighted
    Floats2 tap;
    Floats2* now;  // where the new column goes
  };

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

  // The norm's factor, which is that of all sums.
  __device__ void take_scale(const DecodePhase& ph, int phase) {
    if (!mine_) return;
    const float* squares = b_.squares + phase % 2 * kDecodeWaves * kDecodeStepMostRows + row_;
    float total = 0;
#pragma unroll
    for (int w = 0; w < kDecodeWaves; ++w) total += squares[w * kDecodeStepMostRows];
    scale_ = inverse_root(total / static_cast<float>(ph.k) + p_.epsilon);
  }

  // This lane alone touches its channels' ring.
  __device__ Columns older_columns(const DecodePhase& ph, int unit) const {
    Columns columns = {};
    if (!mine_) return columns;
    const std::int64_t channel = unit * kDecodeSubRows + 2 * pair_;
    float* ring = p_.conv_states + ph.cache_layer * p_.conv_layer_stride +
                  span_.slot * p_.ring * p_.hidden + channel;
    const float* kernel = ph.conv_kernel + channel;
    // Two loads at once: K is 3 as a rule.
#pragma unroll 1
    for (int k = 0; k < p_.taps - 1; k += 2) {
      Floats2 v[2] = {};
      Floats2 w[2] = {};
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        const int position = span_.position - (p_.taps - 1 - k - i);
        if (k + i >= p_.taps - 1 || position < span_.conv_from || position < 0) continue;
        v[i] = *reinterpret_cast<const Floats2*>(ring +
                                                 position % static_cast<int>(p_.ring) * p_.hidden);
        w[i] = *reinterpret_cast<const Floats2*>(kernel + (k + i) * p_.hidden);
      }
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        columns.sum.x = fmaf(w[i].x, v[i].x, columns.sum.x);
        columns.sum.y = fmaf(w[i].y, v[i].y, columns.sum.y);
      }
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
    for (int unit = stop.units.first; unit < stop.units.last; ++unit) {
      const auto v = *reinterpret_cast<const std::uint32_t*>(table + token * p_.hidden +
                                                             unit * kDecodeSubRows + 2 * pair_);
      *residual(unit - stop.units.first) = {low_half(v), high_half(v)};
    }
  }

  const DecodeStepParams& p_;
  const Block& b_;
  int lane_, row_, pair_;
  bool mine_;
  SpanView span_ = {};
  Turn part_;
  float scale_ = 1.0f;
};

}  // namespace millrace::MILLRACE_GPU::decode
