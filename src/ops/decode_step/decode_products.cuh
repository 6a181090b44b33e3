// The eight waves that multiply: of every strip of 256 columns each takes 32, for eight rows of
// weights at a time, by tensor cores. Sums of a wave meet those of the others in the epilogue.
//
// A tensor core product takes 16 rows of input, of which there are eight at most. So the second
// eight are the same rows at other columns: a lane's 16 bytes of input, eight columns, are used as
// they are for two products, of which one counts in its first eight rows and one in its second.
// Packed weights have their words in that order (decode_step_persistent.cu).
#pragma once

#include "ops/decode_step/decode_attention.cuh"
#include "ops/decode_step/decode_inputs.cuh"

namespace millrace::MILLRACE_GPU::decode {

template <int kRows, typename Cache>
class Multiplier {
 public:
  __device__ Multiplier(const DecodeStepParams& p, const Block& b) : p_(p), b_(b), inputs_(p, b) {
    wave_ = static_cast<int>(threadIdx.x) / kLanes;
    lane_ = static_cast<int>(threadIdx.x) % kLanes;
    const int g = lane_ / 4;  // row of weights, row of input
    const int t = lane_ % 4;
    writes_ = g < kRows;
    stamps_ = p.stamps && threadIdx.x == 0;
    part_.parity = 1;
    // What lanes without a row multiply goes nowhere.
    x_ = b.input + g % kRows * decode_row_bytes(p.most_strips) + 64 * wave_ + 16 * t;
    w_ = b.ring + wave_ * 512 + lane_ * 16;
    parts_ = b.parts + (wave_ * kRows + g) * kDecodeSubRows + 2 * t;
  }

  __device__ void run() {
#pragma unroll 1
    for (int phase = 0; phase < p_.phase_count; ++phase) {
      const DecodeStop stop = b_.stops[phase];
      if (stop.phase.kind == DecodePhaseKind::Attention) {
        attend<Cache>(p_, b_, stop.phase, phase, tile_);
        continue;
      }
      // A step that is given up: nothing but the barriers in attention matters.
      if (stop.units.first == stop.units.last || *b_.stuck) continue;
      const int strips = stop.phase.k / kDecodeStripColumns;
      const int subs = (stop.units.last - stop.units.first) * stop.phase.subs;
      const int looks = inputs_.load(stop.phase, phase);
      sync_wave();
      if (stamps_) {
        stamp(p_, phase, kStampLoaded, ticks());
        stamp(p_, phase, kStampRetries, looks);
      }
      const int tile = decode_tile_strips(strips);
      if (strips == 8)
        multiply_resident<4, 2>(subs, phase);
      else if (strips == 6)
        multiply_resident<3, 2>(subs, phase);
      else if (strips == 4)
        multiply_resident<4, 1>(subs, phase);
      else if (tile == 4)
        multiply_streaming<4>(subs, strips / 4, phase);
      else if (tile == 3)
        multiply_streaming<3>(subs, strips / 3, phase);
      else
        multiply_streaming<1>(subs, strips, phase);
      if (stamps_) stamp(p_, phase, kStampLast, ticks());
    }
  }

 private:
  template <int kTile>
  struct Pieces {
    Words4 at[kTile];
  };
  // Sums of eight rows of weights, in chains that do not wait for each other.
  struct Sums {
    float first[2][4] = {};   // [0] and [1] count
    float second[2][4] = {};  // [2] and [3]
    __device__ Floats2 total() const {
      return {(first[0][0] + first[1][0]) + (second[0][2] + second[1][2]),
              (first[0][1] + first[1][1]) + (second[0][3] + second[1][3])};
    }
  };

  template <int kTile>
  __device__ Pieces<kTile> weights() const {
    Pieces<kTile> pieces;
    const std::byte* from = w_ + tile_.at * kDecodeTileBytes;
#pragma unroll
    for (int i = 0; i < kTile; ++i)
      pieces.at[i] = *reinterpret_cast<const Words4*>(from + i * kDecodeStripBytes);
    return pieces;
  }
  template <int kTile>
  __device__ Pieces<kTile> input(int strip) const {
    Pieces<kTile> pieces;
#pragma unroll
    for (int i = 0; i < kTile; ++i)
      pieces.at[i] = *reinterpret_cast<const Words4*>(x_ + (strip + i) * (2 * kDecodeStripColumns));
    return pieces;
  }
  template <int kTile>
  static __device__ void multiply(Sums& sums, const Pieces<kTile>& x, const Pieces<kTile>& w) {
#pragma unroll
    for (int i = 0; i < kTile; ++i) {
      multiply_add(sums.first[i % 2], x.at[i], w.at[i].x, w.at[i].y);
      multiply_add(sums.second[i % 2], x.at[i], w.at[i].z, w.at[i].w);
    }
  }
  // This wave is through with the tile at hand.
  __device__ void release(int at) const {
    sync_wave();
    if (lane_ == 0) arrive(&b_.empty[at]);
  }
  __device__ void leave(const Sums& sums) {
    wait_for(b_, &b_.part_empty[part_.at], part_.parity);
    if (writes_)
      *reinterpret_cast<Floats2*>(parts_ + part_.at * kDecodeWaves * kRows * kDecodeSubRows) =
          sums.total();
    sync_wave();
    if (lane_ == 0) arrive(&b_.part_full[part_.at]);
    part_.advance(p_.part_buffers);
  }

  // The input stays in registers: kTiles tiles make up a row.
  template <int kTile, int kTiles>
  __device__ void multiply_resident(int subs, int phase) {
    Pieces<kTile> x[kTiles];
#pragma unroll
    for (int i = 0; i < kTiles; ++i) x[i] = input<kTile>(i * kTile);
#pragma unroll 1
    for (int sub = 0; sub < subs; ++sub) {
      Sums sums;
      Pieces<kTile> w[kTiles];
      int at[kTiles];
#pragma unroll
      for (int i = 0; i < kTiles; ++i) {
        wait_for(b_, &b_.full[tile_.at], tile_.parity);
        if (stamps_ && sub == 0 && i == 0) stamp(p_, phase, kStampFirst, ticks());
        w[i] = weights<kTile>();
        at[i] = tile_.at;
        tile_.advance(p_.tiles);
      }
#pragma unroll
      for (int i = 0; i < kTiles; ++i) multiply(sums, x[i], w[i]);
#pragma unroll
      for (int i = 0; i < kTiles; ++i) release(at[i]);
      if (sub == 0) inputs_.leave_squares(phase);
      leave(sums);
    }
  }

  // The input is read again for every eight rows. Two tiles at a time, where both are there.
  template <int kTile>
  __device__ void multiply_streaming(int subs, int tiles, int phase) {
#pragma unroll 1
    for (int sub = 0; sub < subs; ++sub) {
      Sums sums;
#pragma unroll 1
      for (int tile = 0; tile < tiles; tile += 2) {
        wait_for(b_, &b_.full[tile_.at], tile_.parity);
        if (stamps_ && sub == 0 && tile == 0) stamp(p_, phase, kStampFirst, ticks());
        const Pieces<kTile> first_w = weights<kTile>();
        const Pieces<kTile> first_x = input<kTile>(tile * kTile);
        const int first = tile_.at;
        tile_.advance(p_.tiles);
        if (tile + 1 < tiles) {
          wait_for(b_, &b_.full[tile_.at], tile_.parity);
          const Pieces<kTile> w = weights<kTile>();
          const Pieces<kTile> x = input<kTile>((tile + 1) * kTile);
          const int at = tile_.at;
          tile_.advance(p_.tiles);
          multiply(sums, first_x, first_w);
          release(first);
          multiply(sums, x, w);
          release(at);
        } else {
          multiply(sums, first_x, first_w);
          release(first);
        }
      }
      if (sub == 0) inputs_.leave_squares(phase);
      leave(sums);
    }
  }

  const DecodeStepParams& p_;
  const Block& b_;
  Inputs<kRows> inputs_;
  Turn tile_;
  Turn part_;
  const std::byte* x_;
  const std::byte* w_;
  float* parts_;
  int wave_, lane_;
  bool writes_, stamps_;
};

}  // namespace millrace::MILLRACE_GPU::decode
