// How a wave comes by its columns of a product's input: of every strip of 256 columns, 32. It looks
// until no word is missing, and keeps them as BF16 in shared memory, where only it reads them; so
// waves need not wait for each other.
#pragma once

#include "ops/decode_step/decode_block.cuh"

namespace millrace::MILLRACE_GPU::decode {

template <int kRows>
class Inputs {
 public:
  // Loads of 16 bytes on their way: of rows, and of strips.
  static constexpr int kAtOnce = kRows < 4 ? kRows : 4;
  static constexpr int kQuads = 2;   // of a normed input: every fourth strip
  static constexpr int kOctets = 4;  // of a packed one: every eighth
  static constexpr int kPartsAtOnce = 4;

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
    return b_.input + row * decode_row_bytes(p_.most_strips) + column * 2;
  }

  // F32 words, or the embedding's BF16 in phase 0. A lane takes 4 columns of every fourth strip.
  __device__ int load_normed(const DecodePhase& ph, int phase) {
    const int strips = ph.k / kDecodeStripColumns;
    const int column = 32 * wave_ + lane_ % 8 * 4;
    int looks = 0;
#pragma unroll
    for (int r = 0; r < kRows; ++r) squares_[r] = 0;
    Floats4 weights[kQuads] = {};
    const auto load_weights = [&](int first) {
#pragma unroll
      for (int j = 0; j < kQuads; ++j)
        if (first + 4 * j < strips)
          weights[j] = load_constant(reinterpret_cast<const Floats4*>(
              ph.norm + (first + 4 * j) * kDecodeStripColumns + column));
    };
    load_weights(lane_ / 8);
    if (phase > 0) await_input(b_, phase);
#pragma unroll 1
    for (int first = lane_ / 8; first < strips; first += 4 * kQuads) {
      if (first >= 4 * kQuads) load_weights(first);
#pragma unroll
      for (int r0 = 0; r0 < kRows; r0 += kAtOnce) {
        Words4 v[kAtOnce][kQuads];
        bool missing;
        do {
          ++looks;
          missing = false;
#pragma unroll
          for (int r = 0; r < kAtOnce; ++r)
#pragma unroll
            for (int j = 0; j < kQuads; ++j) {
              v[r][j] = {};
              if (first + 4 * j < strips && r0 + r < b_.rows)
                v[r][j] = look(ph, r0 + r, (first + 4 * j) * kDecodeStripColumns + column);
            }
#pragma unroll
          for (int r = 0; r < kAtOnce; ++r)
#pragma unroll
            for (int j = 0; j < kQuads; ++j) missing |= is_missing(v[r][j]);
        } while (missing && keep_looking(b_));
#pragma unroll
        for (int r = 0; r < kAtOnce; ++r)
#pragma unroll
          for (int j = 0; j < kQuads; ++j) {
            const float x[4] = {float_of_bits(v[r][j].x), float_of_bits(v[r][j].y),
                                float_of_bits(v[r][j].z), float_of_bits(v[r][j].w)};
            squares_[r0 + r] += x[0] * x[0] + x[1] * x[1] + x[2] * x[2] + x[3] * x[3];
            if (first + 4 * j < strips && r0 + r < b_.rows)
              *reinterpret_cast<Words2*>(
                  place(r0 + r, (first + 4 * j) * kDecodeStripColumns + column)) = {
                  pack_pair(x[0] * weights[j].x, x[1] * weights[j].y),
                  pack_pair(x[2] * weights[j].z, x[3] * weights[j].w)};
          }
      }
    }
    return looks;
  }

  __device__ Words4 look(const DecodePhase& ph, int row, int column) const {
    if (ph.source == DecodeSource::Residual)
      return load_words(b_.exchange + row * p_.row_words + ph.in + column);
    const std::int64_t at = token_of(p_, row) * p_.hidden + column;
    const Words2 v = load_constant(
        reinterpret_cast<const Words2*>(static_cast<const std::uint16_t*>(p_.embedding) + at));
    return {v.x << 16, v.x & 0xffff0000u, v.y << 16, v.y & 0xffff0000u};
  }

  // BF16 pairs. A lane takes 8 columns of every eighth strip.
  __device__ int load_packed(const DecodePhase& ph, int phase) {
    const int strips = ph.k / kDecodeStripColumns;
    const int column = 32 * wave_ + lane_ % 4 * 8;
    await_input(b_, phase);
    int looks = 0;
#pragma unroll 1
    for (int first = lane_ / 4; first < strips; first += 8 * kOctets) {
#pragma unroll 1
      for (int r0 = 0; r0 < b_.rows; r0 += kAtOnce) {
        Words4 v[kAtOnce][kOctets];
        bool missing;
        do {
          ++looks;
          missing = false;
#pragma unroll
          for (int r = 0; r < kAtOnce; ++r)
#pragma unroll
            for (int j = 0; j < kOctets; ++j) {
              v[r][j] = {};
              if (first + 8 * j < strips && r0 + r < b_.rows)
                v[r][j] = load_words(b_.exchange + (r0 + r) * p_.row_words + ph.in +
                                     ((first + 8 * j) * kDecodeStripColumns + column) / 2);
            }
#pragma unroll
          for (int r = 0; r < kAtOnce; ++r)
#pragma unroll
            for (int j = 0; j < kOctets; ++j) missing |= is_missing(v[r][j]);
        } while (missing && keep_looking(b_));
#pragma unroll
        for (int r = 0; r < kAtOnce; ++r)
#pragma unroll
          for (int j = 0; j < kOctets; ++j)
            if (first + 8 * j < strips && r0 + r < b_.rows)
              *reinterpret_cast<Words4*>(
                  place(r0 + r, (first + 8 * j) * kDecodeStripColumns + column)) = v[r][j];
      }
    }
    return looks;
  }

  // Attention's parts, put together: a lane takes 4 columns of every fourth strip.
  __device__ int load_parts(const DecodePhase& ph, int phase) {
    const int strips = ph.k / kDecodeStripColumns;
    const int column = 32 * wave_ + lane_ % 8 * 4;
    await_input(b_, phase);
    int looks = 0;
#pragma unroll 1
    for (int r = 0; r < b_.rows; ++r) {
      const std::uint32_t* parts = b_.exchange + r * p_.row_words + ph.in;
      const std::uint32_t* logs = parts + kDecodeStepMostSplits * part_words(p_);
#pragma unroll 1
      for (int first = lane_ / 8; first < strips; first += 4 * kQuads) {
        float best[kQuads];
        float total[kQuads];
        float sums[kQuads][4];
#pragma unroll
        for (int j = 0; j < kQuads; ++j) {
          best[j] = -INFINITY;
          total[j] = sums[j][0] = sums[j][1] = sums[j][2] = sums[j][3] = 0;
        }
#pragma unroll 1
        for (int s0 = 0; s0 < b_.splits; s0 += kPartsAtOnce) {
          Words4 v[kQuads][kPartsAtOnce];
          std::uint32_t log[kQuads][kPartsAtOnce];
          bool missing;
          do {
            ++looks;
            missing = false;
#pragma unroll
            for (int j = 0; j < kQuads; ++j)
#pragma unroll
              for (int s = 0; s < kPartsAtOnce; ++s) {
                v[j][s] = {};
                log[j][s] = bits_of_float(-INFINITY);
                if (s0 + s < b_.splits && first + 4 * j < strips) {
                  const int c = (first + 4 * j) * kDecodeStripColumns + column;
                  v[j][s] = load_words(parts + (s0 + s) * part_words(p_) + c);
                  log[j][s] = load_word(logs + (s0 + s) * p_.heads + c / kDecodeHeadDim);
                }
              }
#pragma unroll
            for (int j = 0; j < kQuads; ++j)
#pragma unroll
              for (int s = 0; s < kPartsAtOnce; ++s)
                missing |= is_missing(v[j][s]) || log[j][s] == kDecodeUnwritten;
          } while (missing && keep_looking(b_));
#pragma unroll
          for (int j = 0; j < kQuads; ++j) {
            float highest = best[j];
#pragma unroll
            for (int s = 0; s < kPartsAtOnce; ++s)
              highest = fmaxf(highest, float_of_bits(log[j][s]));
            if (highest == -INFINITY) continue;  // parts without tokens
            const float rescale = exp2_fast(best[j] - highest);
            best[j] = highest;
            total[j] *= rescale;
#pragma unroll
            for (int i = 0; i < 4; ++i) sums[j][i] *= rescale;
#pragma unroll
            for (int s = 0; s < kPartsAtOnce; ++s) {
              const float weight = exp2_fast(float_of_bits(log[j][s]) - highest);
              total[j] += weight;
              sums[j][0] = fmaf(weight, float_of_bits(v[j][s].x), sums[j][0]);
              sums[j][1] = fmaf(weight, float_of_bits(v[j][s].y), sums[j][1]);
              sums[j][2] = fmaf(weight, float_of_bits(v[j][s].z), sums[j][2]);
              sums[j][3] = fmaf(weight, float_of_bits(v[j][s].w), sums[j][3]);
            }
          }
        }
#pragma unroll
        for (int j = 0; j < kQuads; ++j) {
          if (first + 4 * j >= strips) continue;
          const float inverse = divide_fast(1.0f, total[j]);
          *reinterpret_cast<Words2*>(place(r, (first + 4 * j) * kDecodeStripColumns + column)) = {
              pack_pair(sums[j][0] * inverse, sums[j][1] * inverse),
              pack_pair(sums[j][2] * inverse, sums[j][3] * inverse)};
        }
      }
    }
    return looks;
  }

  const DecodeStepParams& p_;
  const Block& b_;
  int wave_, lane_;
  bool normed_ = false;
  float squares_[kRows] = {};
};

}  // namespace millrace::MILLRACE_GPU::decode
