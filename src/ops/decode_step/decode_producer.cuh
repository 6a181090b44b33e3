// One thread asks for everything that the block reads in bulk, in the order in which it is used:
// packed weights, and the cache in attention. It runs ahead of the phases as far as the ring goes,
// but never has more than p.in_flight tiles outstanding: more would only make others wait.
#pragma once

#include "ops/decode_step/decode_block.cuh"

namespace millrace::cuda::decode {

class Producer {
 public:
  __device__ Producer(const DecodeStepParams& p, const Block& b) : p_(p), b_(b) {
    turn_.parity = 1;
  }

  __device__ void run() {
    for (int phase = 0; phase < p_.phase_count; ++phase) {
      const DecodeStop& stop = b_.stops[phase];
      if (stop.phase.kind == DecodePhaseKind::Attention)
        bring_cache(stop.phase, phase);
      else if (stop.first < stop.last)
        bring_weights(stop, phase);
    }
  }

 private:
  // The tile to fill next, which expects `bytes`.
  __device__ std::byte* claim(int bytes) {
    wait_for(&b_.empty[turn_.at], turn_.parity);
    if (p_.in_flight < p_.tiles && issued_ >= p_.in_flight) {
      wait_for(&b_.full[landed_.at], landed_.parity);
      landed_.advance(p_.tiles);
    }
    ++issued_;
    expect_bytes(&b_.full[turn_.at], bytes);
    return b_.ring + turn_.at * kDecodeTileBytes;
  }

  __device__ void bring_weights(const DecodeStop& stop, int phase) {
    const int strips = stop.phase.k / kDecodeStripColumns;
    const int subs = (stop.last - stop.first) * stop.phase.subs;
    const std::int64_t sub_bytes = std::int64_t{strips} * kDecodeStripBytes;
    const std::byte* from = stop.phase.weights + stop.first * stop.phase.subs * sub_bytes;
    const int tile = decode_tile_strips(strips);
    const int bytes = tile * kDecodeStripBytes;
    for (int left = subs * (strips / tile); left > 0; --left) {
      std::byte* to = claim(bytes);
      if (left == subs * (strips / tile)) stamp(p_, phase, kStampAsked, clock64());
      copy_bulk(to, from, bytes, &b_.full[turn_.at]);
      turn_.advance(p_.tiles);
      from += bytes;
    }
    stamp(p_, phase, kStampAskedLast, clock64());
  }

  __device__ void bring_cache(const DecodePhase& ph, int phase) {
    constexpr int kBytes = kDecodeBlockTokens * kDecodeHeadDim * 2;
    const int items = attention_items(p_, b_);
    for (int index = blockIdx.x; index < items; index += p_.processors) {
      const AttentionItem item = attention_item(p_, b_, index);
      const std::int32_t* table =
          p_.batch.block_tables + p_.batch.spans[item.row].table * p_.batch.table_stride;
      stamp(p_, phase, kStampAsked, clock64());
      for (std::int64_t block = item.first_block; block < item.last_block; block += 4) {
        const int count =
            static_cast<int>(item.last_block - block < 4 ? item.last_block - block : 4);
        std::int64_t at[4];
        for (int i = 0; i < 4; ++i)
          at[i] = i < count ? (std::int64_t{table[block + i]} * p_.kv_heads + item.kv_head) * kBytes
                            : 0;
        std::byte* to = claim(2 * count * kBytes);
        for (int i = 0; i < count; ++i) {
          copy_bulk(to + 2 * i * kBytes, p_.keys + ph.cache_layer * p_.kv_layer_stride + at[i],
                    kBytes, &b_.full[turn_.at]);
          copy_bulk(to + (2 * i + 1) * kBytes,
                    p_.values + ph.cache_layer * p_.kv_layer_stride + at[i], kBytes,
                    &b_.full[turn_.at]);
        }
        turn_.advance(p_.tiles);
      }
      stamp(p_, phase, kStampAskedLast, clock64());
    }
  }

  const DecodeStepParams& p_;
  const Block& b_;
  Turn turn_;
  Turn landed_;
  std::int64_t issued_ = 0;
};

}  // namespace millrace::cuda::decode
