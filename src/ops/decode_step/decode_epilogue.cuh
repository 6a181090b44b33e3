// One wave adds up what the multiplying waves leave, does what follows the product (norm's scale,
// gates and convolution, SwiGLU, residual) and hands the result to all multiprocessors. A lane has
// two neighbouring rows of weights for one sequence.
#pragma once

#include "ops/decode_step/decode_block.cuh"

namespace millrace::cuda::decode {

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
    for (int phase = 0; phase < p_.phase_count; ++phase) {
      const DecodeStop& stop = b_.stops[phase];
      const DecodePhase& ph = stop.phase;
      if (ph.kind == DecodePhaseKind::Attention || stop.first == stop.last) continue;
      if (ph.kind == DecodePhaseKind::Residual && !has_residual) {
        take_embedding(stop);
        has_residual = true;
      }
      scale_ = 1.0f;
      std::uint32_t* out = b_.exchange + row_ * p_.row_words + ph.out;
      for (int unit = stop.first; unit < stop.last; ++unit) {
        const bool first = unit == stop.first;
        switch (ph.kind) {
          case DecodePhaseKind::Conv: convolve(ph, phase, first, unit, out); break;
          case DecodePhaseKind::Qkv: {
            const float2 sums = take(ph, phase, first);
            if (mine_) store_word(out + unit * 4 + pair_, pack_pair(sums.x, sums.y));
            break;
          }
          case DecodePhaseKind::Residual: add_residual(ph, phase, unit, unit - stop.first, out); break;
          case DecodePhaseKind::Swiglu: {
            const float2 sums = take(ph, phase, first);
            const float value = sums.x / (1.0f + expf(-sums.x)) * sums.y;
            const float next = __shfl_down_sync(~0u, value, 1);
            if (mine_ && pair_ % 2 == 0)
              store_word(out + unit * 2 + pair_ / 2, pack_pair(value, next));
            break;
          }
          case DecodePhaseKind::Head: {
            const float2 sums = take(ph, phase, first);
            if (mine_)
              *reinterpret_cast<float2*>(p_.logits + row_ * p_.logits_stride +
                                         unit * kDecodeSubRows + 2 * pair_) = sums;
            break;
          }
          case DecodePhaseKind::Attention: break;
        }
      }
      __syncwarp();
      if (lane_ == 0) {
        if (ph.kind != DecodePhaseKind::Head) count_up(b_.hint(phase));
        stamp(p_, phase, kStampPublished, clock64());
      }
    }
  }

 private:
  // The next eight rows' sums, of all waves, times the norm's scale.
  __device__ float2 take(const DecodePhase& ph, int phase, bool first) {
    wait_for(&b_.part_full[part_.at], part_.parity);
    float2 sum = {};
    if (mine_) {
      const float* parts = b_.parts + part_.at * kDecodeWaves * kRows * kDecodeSubRows +
                           row_ * kDecodeSubRows + 2 * pair_;
      float2 v[kDecodeWaves];
#pragma unroll
      for (int w = 0; w < kDecodeWaves; ++w)
        v[w] = *reinterpret_cast<const float2*>(parts + w * kRows * kDecodeSubRows);
      sum = {((v[0].x + v[1].x) + (v[2].x + v[3].x)) + ((v[4].x + v[5].x) + (v[6].x + v[7].x)),
             ((v[0].y + v[1].y) + (v[2].y + v[3].y)) + ((v[4].y + v[5].y) + (v[6].y + v[7].y))};
    }
    __syncwarp();
    if (lane_ == 0) arrive(&b_.part_empty[part_.at]);
    part_.advance(p_.part_buffers);
    const bool normed =
        ph.source == DecodeSource::Residual || ph.source == DecodeSource::Embedding;
    if (first && normed && mine_) {
      const float* squares = b_.squares + phase % 2 * kDecodeWaves * kDecodeStepMostRows + row_;
      float total = 0;
#pragma unroll
      for (int w = 0; w < kDecodeWaves; ++w) total += squares[w * kDecodeStepMostRows];
      scale_ = 1.0f / sqrtf(total / static_cast<float>(ph.k) + p_.epsilon);
    }
    return {sum.x * scale_, sum.y * scale_};
  }

  // The two channels' older columns, weighted, then gates and the new column. This lane alone
  // touches those channels' ring.
  __device__ void convolve(const DecodePhase& ph, int phase, bool first, int unit,
                           std::uint32_t* out) {
    const std::int64_t channel = unit * kDecodeSubRows + 2 * pair_;
    float2 sum = {};
    float2 tap = {};
    float2* column = nullptr;
    if (mine_) {
      float* ring = p_.conv_states + ph.cache_layer * p_.conv_layer_stride +
                    span_.slot * p_.ring * p_.hidden + channel;
      for (int k = 0; k < p_.taps - 1; ++k) {
        const int position = span_.position - (p_.taps - 1 - k);
        if (position < span_.conv_from || position < 0) continue;
        const float2 v = *reinterpret_cast<const float2*>(ring + position % p_.ring * p_.hidden);
        const float2 w =
            *reinterpret_cast<const float2*>(ph.conv_kernel + k * p_.hidden + channel);
        sum.x = fmaf(w.x, v.x, sum.x);
        sum.y = fmaf(w.y, v.y, sum.y);
      }
      tap = *reinterpret_cast<const float2*>(ph.conv_kernel + (p_.taps - 1) * p_.hidden + channel);
      column = reinterpret_cast<float2*>(ring + span_.position % p_.ring * p_.hidden);
    }
    const float2 gate_in = take(ph, phase, first);
    const float2 gate_out = take(ph, phase, false);
    const float2 z = take(ph, phase, false);
    if (!mine_) return;
    const float2 now = {rounded(gate_in.x) * rounded(z.x), rounded(gate_in.y) * rounded(z.y)};
    store_word(out + unit * 4 + pair_,
               pack_pair(rounded(gate_out.x) * fmaf(tap.x, now.x, sum.x),
                         rounded(gate_out.y) * fmaf(tap.y, now.y, sum.y)));
    *column = now;
  }

  __device__ float2* residual(int own_unit) const {
    return reinterpret_cast<float2*>(b_.residual +
                                     (own_unit * kRows + row_) * kDecodeSubRows + 2 * pair_);
  }
  __device__ void add_residual(const DecodePhase& ph, int phase, int unit, int own_unit,
                               std::uint32_t* out) {
    const float2 sums = take(ph, phase, false);
    if (!mine_) return;
    float2* at = residual(own_unit);
    const float2 now = {at->x + sums.x, at->y + sums.y};
    store_words(out + unit * kDecodeSubRows + 2 * pair_, __float_as_uint(now.x),
                __float_as_uint(now.y));
    *at = now;
  }
  // The residual stream begins as the token's embedding.
  __device__ void take_embedding(const DecodeStop& stop) const {
    if (!mine_) return;
    const auto* table = static_cast<const __nv_bfloat16*>(p_.embedding);
    const std::int64_t token = token_of(p_, row_);
    for (int unit = stop.first; unit < stop.last; ++unit) {
      const auto v = *reinterpret_cast<const std::uint32_t*>(table + token * p_.hidden +
                                                             unit * kDecodeSubRows + 2 * pair_);
      *residual(unit - stop.first) = {low_half(v), high_half(v)};
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

}  // namespace millrace::cuda::decode
