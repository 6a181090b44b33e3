// The eight waves that multiply: of every strip of 256 columns each takes 32, for eight rows of
// weights at a time, by tensor cores. Sums of a wave meet those of the others in the epilogue.
#pragma once

#include "ops/decode_step/decode_attention.cuh"
#include "ops/decode_step/decode_inputs.cuh"

namespace millrace::cuda::decode {

template <int kRows>
__device__ void run_products(const DecodeStepParams& p, const Block& b) {
  const int wave = static_cast<int>(threadIdx.x) / kLanes;
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int g = lane / 4;  // row of weights, row of input
  const int t = lane % 4;
  const bool first_wave = wave == 0 && lane == 0;
  Inputs<kRows> inputs(p, b);
  Turn tile;
  Turn part;
  part.parity = 1;
  const std::byte* x = b.input + g * decode_row_bytes(p.widest_k) + 64 * wave + 16 * t;
  for (int phase = 0; phase < p.phase_count; ++phase) {
    const DecodeStop& stop = b.stops[phase];
    if (stop.phase.kind == DecodePhaseKind::Attention) {
      attend(p, b, stop.phase, phase, tile);
      continue;
    }
    if (stop.first == stop.last) continue;
    const int looks = inputs.load(stop.phase, phase);
    __syncwarp();
    if (first_wave) {
      stamp(p, phase, kStampLoaded, clock64());
      stamp(p, phase, kStampRetries, looks);
    }
    const int strips = stop.phase.k / kDecodeStripColumns;
    const int subs = (stop.last - stop.first) * stop.phase.subs;
    for (int sub = 0; sub < subs; ++sub) {
      float even[4] = {};
      float odd[4] = {};
      for (int strip = 0; strip < strips; strip += kDecodeTileStrips) {
        wait_for(&b.full[tile.at], tile.parity);
        if (first_wave && sub == 0 && strip == 0) stamp(p, phase, kStampFirst, clock64());
        const std::byte* w = b.ring + tile.at * kDecodeTileBytes + wave * 512 + lane * 16;
#pragma unroll
        for (int i = 0; i < kDecodeTileStrips; ++i) {
          if (strip + i >= strips) break;
          const uint4 weights = *reinterpret_cast<const uint4*>(w + i * kDecodeStripBytes);
          uint4 in = {};
          if (g < b.rows)
            in = *reinterpret_cast<const uint4*>(x + (strip + i) * (2 * kDecodeStripColumns));
          multiply_add(even, in.x, in.y, weights.x, weights.y);
          multiply_add(odd, in.z, in.w, weights.z, weights.w);
        }
        __syncwarp();
        if (lane == 0) arrive(&b.empty[tile.at]);
        tile.advance(p.tiles);
      }
      if (sub == 0) inputs.leave_squares(phase);
      wait_for(&b.part_empty[part.at], part.parity);
      if (g < kRows)
        *reinterpret_cast<float2*>(b.parts +
                                   ((part.at * kDecodeWaves + wave) * kRows + g) * kDecodeSubRows +
                                   2 * t) = {even[0] + odd[0], even[1] + odd[1]};
      __syncwarp();
      if (lane == 0) arrive(&b.part_full[part.at]);
      part.advance(p.part_buffers);
    }
    if (first_wave) stamp(p, phase, kStampLast, clock64());
  }
}

}  // namespace millrace::cuda::decode
