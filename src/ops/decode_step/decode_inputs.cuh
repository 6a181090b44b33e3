// How a wave comes by its columns of a product's input: of every strip of 256 columns, 32. It looks
// until no word is missing, and keeps them as BF16 in shared memory, where only it reads them; so
// waves need not wait for each other.
#pragma once

#include "ops/decode_step/decode_block.cuh"

namespace millrace::cuda::decode {

template <int kRows>
class Inputs {
 public:
  static constexpr int kMostQuads = 4;  // strips of a normed input, in fours
  static constexpr int kMostOctets = 6;  // strips of a packed one, in eights
  static constexpr int kAtOnce = kRows < 4 ? kRows : 4;

  __device__ Inputs(const DecodeStepParams& p, const Block& b) : p_(p), b_(b) {
    wave_ = static_cast<int>(threadIdx.x) / kLanes;
    lane_ = static_cast<int>(threadIdx.x) % kLanes;
  }

  // Brings the phase's input; returns in how many looks.
  __device__ int load(const DecodePhase& ph, int phase) {
    normed_ = false;
    if (ph.source == DecodeSource::Packed) return load_packed(ph, phase);
    if (ph.source == DecodeSource::Parts) return load_parts(ph, phase);
    normed_ = true;
    return load_normed(ph, phase);
  }

  // The sums of squares of this wave's columns, for the epilogue: after the first products, so that
  // those need not wait.
  __device__ void leave_squares(int phase) {
    if (!normed_) return;
    normed_ = false;
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      const float sum = wave_sum(squares_[r]);
      if (lane_ == 0)
        b_.squares[(phase % 2 * kDecodeWaves + wave_) * kDecodeStepMostRows + r] = sum;
    }
  }

 private:
  __device__ std::byte* place(int row, int column) const {
    return b_.input + row * decode_row_bytes(p_.widest_k) + column * 2;
  }

  // F32 words, or the embedding's BF16 in phase 0. A lane takes 4 columns of every fourth strip.
  __device__ int load_normed(const DecodePhase& ph, int phase) {
    const int strips = ph.k / kDecodeStripColumns;
    const int first = lane_ / 8;
    const int column = 32 * wave_ + lane_ % 8 * 4;
    float4 weights[kMostQuads];
#pragma unroll
    for (int j = 0; j < kMostQuads; ++j) {
      const int strip = 4 * j + first;
      weights[j] = strip < strips ? __ldg(reinterpret_cast<const float4*>(
                                        ph.norm + strip * kDecodeStripColumns + column))
                                  : float4{};
    }
    if (phase > 0) await_input(b_, phase);
    int looks = 0;
#pragma unroll
    for (int r0 = 0; r0 < kRows; r0 += kAtOnce) {
      uint4 v[kAtOnce][kMostQuads];
      bool missing;
      do {
        missing = false;
#pragma unroll
        for (int r = 0; r < kAtOnce; ++r)
#pragma unroll
          for (int j = 0; j < kMostQuads; ++j) {
            const int strip = 4 * j + first;
            v[r][j] = {};
            if (strip < strips && r0 + r < b_.rows)
              v[r][j] = look(ph, r0 + r, strip * kDecodeStripColumns + column);
          }
#pragma unroll
        for (int r = 0; r < kAtOnce; ++r)
#pragma unroll
          for (int j = 0; j < kMostQuads; ++j) missing |= is_missing(v[r][j]);
        if (++looks > kMostLooks) __trap();
      } while (__any_sync(~0u, missing));
#pragma unroll
      for (int r = 0; r < kAtOnce; ++r) {
        float squares = 0;
#pragma unroll
        for (int j = 0; j < kMostQuads; ++j) {
          const int strip = 4 * j + first;
          const float x[4] = {__uint_as_float(v[r][j].x), __uint_as_float(v[r][j].y),
                              __uint_as_float(v[r][j].z), __uint_as_float(v[r][j].w)};
          squares += x[0] * x[0] + x[1] * x[1] + x[2] * x[2] + x[3] * x[3];
          if (strip < strips && r0 + r < b_.rows)
            *reinterpret_cast<uint2*>(place(r0 + r, strip * kDecodeStripColumns + column)) = {
                pack_pair(x[0] * weights[j].x, x[1] * weights[j].y),
                pack_pair(x[2] * weights[j].z, x[3] * weights[j].w)};
        }
        squares_[r0 + r] = squares;
      }
    }
    return looks;
  }

  __device__ uint4 look(const DecodePhase& ph, int row, int column) const {
    if (ph.source == DecodeSource::Residual)
      return load_words(b_.exchange + row * p_.row_words + ph.in + column);
    const std::int64_t at = token_of(p_, row) * p_.hidden + column;
    const uint2 v = __ldg(reinterpret_cast<const uint2*>(
        static_cast<const __nv_bfloat16*>(p_.embedding) + at));
    return {v.x << 16, v.x & 0xffff0000u, v.y << 16, v.y & 0xffff0000u};
  }

  // BF16 pairs. A lane takes 8 columns of every eighth strip.
  __device__ int load_packed(const DecodePhase& ph, int phase) {
    const int strips = ph.k / kDecodeStripColumns;
    const int first = lane_ / 4;
    const int column = 32 * wave_ + lane_ % 4 * 8;
    await_input(b_, phase);
    int looks = 0;
#pragma unroll
    for (int r0 = 0; r0 < kRows; r0 += kAtOnce) {
      uint4 v[kAtOnce][kMostOctets];
      bool missing;
      do {
        missing = false;
#pragma unroll
        for (int r = 0; r < kAtOnce; ++r)
#pragma unroll
          for (int j = 0; j < kMostOctets; ++j) {
            const int strip = 8 * j + first;
            v[r][j] = {};
            if (strip < strips && r0 + r < b_.rows)
              v[r][j] = load_words(b_.exchange + (r0 + r) * p_.row_words + ph.in +
                                   (strip * kDecodeStripColumns + column) / 2);
          }
#pragma unroll
        for (int r = 0; r < kAtOnce; ++r)
#pragma unroll
          for (int j = 0; j < kMostOctets; ++j) missing |= is_missing(v[r][j]);
        if (++looks > kMostLooks) __trap();
      } while (__any_sync(~0u, missing));
#pragma unroll
      for (int r = 0; r < kAtOnce; ++r)
#pragma unroll
        for (int j = 0; j < kMostOctets; ++j) {
          const int strip = 8 * j + first;
          if (strip < strips && r0 + r < b_.rows)
            *reinterpret_cast<uint4*>(place(r0 + r, strip * kDecodeStripColumns + column)) =
                v[r][j];
        }
    }
    return looks;
  }

  // Attention's parts, put together: a lane takes 4 columns of every fourth strip.
  __device__ int load_parts(const DecodePhase& ph, int phase) {
    const int strips = ph.k / kDecodeStripColumns;
    const int column = 32 * wave_ + lane_ % 8 * 4;
    await_input(b_, phase);
    int all_looks = 0;
    for (int r = 0; r < b_.rows; ++r) {
      const std::uint32_t* parts = b_.exchange + r * p_.row_words + ph.in;
      const std::uint32_t* logs = parts + kDecodeStepMostSplits * part_words(p_);
      for (int strip = lane_ / 8; strip < strips; strip += 4) {
        const int c = strip * kDecodeStripColumns + column;
        uint4 v[kDecodeStepMostSplits];
        std::uint32_t log[kDecodeStepMostSplits];
        bool missing;
        int looks = 0;
        do {
          missing = false;
#pragma unroll
          for (int s = 0; s < kDecodeStepMostSplits; ++s) {
            v[s] = {};
            log[s] = __float_as_uint(-INFINITY);
            if (s < b_.splits) {
              v[s] = load_words(parts + s * part_words(p_) + c);
              log[s] = load_word(logs + s * p_.heads + c / kDecodeHeadDim);
            }
          }
#pragma unroll
          for (int s = 0; s < kDecodeStepMostSplits; ++s)
            missing |= is_missing(v[s]) || log[s] == kDecodeUnwritten;
          if (++looks > kMostLooks) __trap();
        } while (missing);
        all_looks += looks;
        float best = -INFINITY;
#pragma unroll
        for (int s = 0; s < kDecodeStepMostSplits; ++s)
          best = fmaxf(best, __uint_as_float(log[s]));
        float total = 0;
        float sums[4] = {};
#pragma unroll
        for (int s = 0; s < kDecodeStepMostSplits; ++s) {
          const float weight = exp2f(__uint_as_float(log[s]) - best);
          total += weight;
          sums[0] = fmaf(weight, __uint_as_float(v[s].x), sums[0]);
          sums[1] = fmaf(weight, __uint_as_float(v[s].y), sums[1]);
          sums[2] = fmaf(weight, __uint_as_float(v[s].z), sums[2]);
          sums[3] = fmaf(weight, __uint_as_float(v[s].w), sums[3]);
        }
        const float inverse = 1.0f / total;
        *reinterpret_cast<uint2*>(place(r, c)) = {pack_pair(sums[0] * inverse, sums[1] * inverse),
                                                  pack_pair(sums[2] * inverse, sums[3] * inverse)};
      }
    }
    return all_looks;
  }

  const DecodeStepParams& p_;
  const Block& b_;
  int wave_, lane_;
  bool normed_ = false;
  float squares_[kRows] = {};
};

}  // namespace millrace::cuda::decode
