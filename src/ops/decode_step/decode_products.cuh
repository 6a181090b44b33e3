// The eight waves that multiply: of every strip of 256 columns each takes 32, for eight rows of
// weights at a time, by tensor cores. Sums of a wave meet those of the others in the epilogue.
#pragma once

#include "ops/decode_step/decode_attention.cuh"
#include "ops/decode_step/decode_inputs.cuh"

namespace millrace::MILLRACE_GPU::decode {

template <int kRows>
class Multiplier {
 public:
  __device__ Multiplier(const DecodeStepParams& p, const Block& b) : p_(p), b_(b), inputs_(p, b) {
    wave_ = static_cast<int>(threadIdx.x) / kLanes;
    lane_ = static_cast<int>(threadIdx.x) % kLanes;
    const int g = lane_ / 4;  // row of weights, row of input
    const int t = lane_ % 4;
    has_row_ = g < b.rows;
    writes_ = g < kRows;
    stamps_ = p.stamps && threadIdx.x == 0;
    part_.parity = 1;
    x_ = b.input + g * decode_row_bytes(p.most_strips) + 64 * wave_ + 16 * t;
    w_ = b.ring + wave_ * 512 + lane_ * 16;
    parts_ = b.parts + (wave_ * kRows + g) * kDecodeSubRows + 2 * t;
  }

  __device__ void run() {
#pragma unroll 1
    for (int phase = 0; phase < p_.phase_count; ++phase) {
      const DecodeStop stop = b_.stops[phase];
      if (stop.phase.kind == DecodePhaseKind::Attention) {
        attend(p_, b_, stop.phase, phase, tile_);
        continue;
      }
      // A step that is given up: nothing but the barriers in attention matters.
      if (stop.units.first == stop.units.last || *b_.stuck) continue;
      const Strips own = own_strips(stop.phase, b_);
      const int subs = (stop.units.last - stop.units.first) * stop.phase.subs;
      const int looks = inputs_.load(stop.phase, phase);
      sync_wave();
      if (stamps_) {
        stamp(p_, phase, kStampLoaded, ticks());
        stamp(p_, phase, kStampRetries, looks);
      }
      if (own.tile == kDecodeTileStrips && own.count == 2 * kDecodeTileStrips)
        multiply_resident(subs, phase);
      else
        multiply(own, subs, phase);
      if (stamps_) stamp(p_, phase, kStampLast, ticks());
    }
  }

 private:
  struct Pieces {  // of a tile: zeros beyond its strips
    Words4 at[kDecodeTileStrips];
  };
  // Sums of eight rows of weights, in chains that do not wait for each other.
  struct Sums {
    float chain[4][4] = {};
    __device__ Floats2 total() const {
      return {(chain[0][0] + chain[1][0]) + (chain[2][0] + chain[3][0]),
              (chain[0][1] + chain[1][1]) + (chain[2][1] + chain[3][1])};
    }
  };

  __device__ Pieces weights(int strips) const {
    Pieces pieces;
    const std::byte* from = w_ + tile_.at * kDecodeTileBytes;
#pragma unroll
    for (int i = 0; i < kDecodeTileStrips; ++i) {
      pieces.at[i] = {};
      if (i < strips) pieces.at[i] = *reinterpret_cast<const Words4*>(from + i * kDecodeStripBytes);
    }
    return pieces;
  }
  __device__ Pieces input(int strip, int strips) const {
    Pieces pieces;
#pragma unroll
    for (int i = 0; i < kDecodeTileStrips; ++i) {
      pieces.at[i] = {};
      if (has_row_ && i < strips)
        pieces.at[i] =
            *reinterpret_cast<const Words4*>(x_ + (strip + i) * (2 * kDecodeStripColumns));
    }
    return pieces;
  }
  static __device__ void multiply_tile(Sums& sums, const Pieces& x, const Pieces& w) {
#pragma unroll
    for (int i = 0; i < kDecodeTileStrips; ++i) {
      multiply_add(sums.chain[2 * i % 4], x.at[i].x, x.at[i].y, w.at[i].x, w.at[i].y);
      multiply_add(sums.chain[2 * i % 4 + 1], x.at[i].z, x.at[i].w, w.at[i].z, w.at[i].w);
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

  // A row of two whole tiles, the commonest: its input stays in registers.
  __device__ void multiply_resident(int subs, int phase) {
    const Pieces first_x = input(0, kDecodeTileStrips);
    const Pieces second_x = input(kDecodeTileStrips, kDecodeTileStrips);
#pragma unroll 1
    for (int sub = 0; sub < subs; ++sub) {
      Sums sums;
      wait_for(b_, &b_.full[tile_.at], tile_.parity);
      if (stamps_ && sub == 0) stamp(p_, phase, kStampFirst, ticks());
      const Pieces first_w = weights(kDecodeTileStrips);
      const int first = tile_.at;
      tile_.advance(p_.tiles);
      wait_for(b_, &b_.full[tile_.at], tile_.parity);
      const Pieces second_w = weights(kDecodeTileStrips);
      const int second = tile_.at;
      tile_.advance(p_.tiles);
      multiply_tile(sums, first_x, first_w);
      multiply_tile(sums, second_x, second_w);
      release(first);
      release(second);
      if (sub == 0) inputs_.leave_squares(phase);
      leave(sums);
    }
  }

  // Two tiles at a time, where both are there. One loop for all shapes: what a block runs has to
  // stay small, because phases find the instruction caches filled by others.
  __device__ void multiply(const Strips& own, int subs, int phase) {
#pragma unroll 1
    for (int sub = 0; sub < subs; ++sub) {
      Sums sums;
#pragma unroll 1
      for (int strip = 0; strip < own.count; strip += 2 * own.tile) {
        wait_for(b_, &b_.full[tile_.at], tile_.parity);
        if (stamps_ && sub == 0 && strip == 0) stamp(p_, phase, kStampFirst, ticks());
        const Pieces first_w = weights(own.tile);
        const Pieces first_x = input(strip, own.tile);
        const int first = tile_.at;
        tile_.advance(p_.tiles);
        const bool two = strip + own.tile < own.count;
        if (two) {
          wait_for(b_, &b_.full[tile_.at], tile_.parity);
          const Pieces w = weights(own.tile);
          const Pieces x = input(strip + own.tile, own.tile);
          const int at = tile_.at;
          tile_.advance(p_.tiles);
          multiply_tile(sums, first_x, first_w);
          release(first);
          multiply_tile(sums, x, w);
          release(at);
        } else {
          multiply_tile(sums, first_x, first_w);
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
  bool has_row_, writes_, stamps_;
};

}  // namespace millrace::MILLRACE_GPU::decode
