// One thread asks for everything that the block reads in bulk, in the order in which it is used:
// packed weights, and the cache in attention. It runs ahead of the phases as far as the ring goes,
// but never has more than p.in_flight tiles outstanding: more would only make others wait.
#pragma once

#include "ops/decode_step/decode_block.cuh"
#include "ops/decode_step/decode_cache.cuh"

namespace millrace::MILLRACE_GPU::decode {

template <typename Cache>
class Producer {
 public:
  __device__ Producer(const DecodeStepParams& p, const Block& b) : p_(p), b_(b) {
    turn_.parity = 1;
  }

  __device__ void run() {
    for (int phase = 0; phase < p_.phase_count && !*b_.stuck; ++phase) {
      const DecodeStop& stop = b_.stops[phase];
      phase_ = phase;
      if (stop.phase.kind == DecodePhaseKind::Attention)
        bring_cache(stop.phase);
      else if (stop.units.first < stop.units.last)
        bring_weights(stop);
    }
    if (*b_.stuck) await_landing();
  }

 private:
  // The tile to fill next, which expects `bytes`; null when the step is given up. One thread does
  // this for every tile: each instruction here counts.
  __device__ std::byte* claim(int bytes) {
    if (!wait_for(b_, &b_.empty[turn_.at], turn_.parity)) return nullptr;
    if (issued_ >= p_.in_flight) {
      if (!wait_for(b_, &b_.full[landed_.at], landed_.parity)) return nullptr;
      landed_.advance(p_.tiles);
    }
    ++issued_;
    expect_bytes(&b_.full[turn_.at], bytes);
    return b_.ring + turn_.at * kDecodeTileBytes;
  }

  // A block must not end before what it has asked for is there.
  __device__ void await_landing() {
    for (int left = issued_ < p_.in_flight ? issued_ : p_.in_flight; left > 0; --left) {
      while (!has_turned(&b_.full[landed_.at], landed_.parity)) look_again();
      landed_.advance(p_.tiles);
    }
  }

  __device__ void bring_weights(const DecodeStop& stop) {
    const int strips = stop.phase.k / kDecodeStripColumns;
    const int subs = (stop.units.last - stop.units.first) * stop.phase.subs;
    const std::int64_t sub_bytes = std::int64_t{strips} * kDecodeStripBytes;
    const std::byte* from = stop.phase.weights + stop.units.first * stop.phase.subs * sub_bytes;
    const int tile = decode_tile_strips(strips);
    const int bytes = tile * kDecodeStripBytes;
    stamp(p_, phase_, kStampAsked, ticks());
#pragma unroll 1
    for (int left = subs * (strips / tile); left > 0; --left, from += bytes) {
      std::byte* to = claim(bytes);
      if (to == nullptr) return;
      copy_bulk(to, from, bytes, &b_.full[turn_.at]);
      turn_.advance(p_.tiles);
    }
    stamp(p_, phase_, kStampAskedLast, ticks());
  }

  __device__ void bring_cache(const DecodePhase& ph) {
    constexpr int kBytes = CacheSizes<Cache>::kBlockBytes;
    constexpr int kBlocks = CacheSizes<Cache>::kTileBlocks;
    const int items = attention_items(p_, b_);
    for (int index = blockIdx.x; index < items; index += p_.processors) {
      const AttentionItem item = attention_item(p_, b_, index);
      const std::int32_t* table =
          p_.batch.block_tables + p_.batch.spans[item.row].table * p_.batch.table_stride;
      stamp(p_, phase_, kStampAsked, ticks());
      for (std::int64_t block = item.first_block; block < item.last_block; block += kBlocks) {
        const int count =
            static_cast<int>(item.last_block - block < kBlocks ? item.last_block - block : kBlocks);
        std::int64_t at[kBlocks];
        for (int i = 0; i < kBlocks; ++i)
          at[i] = i < count ? (std::int64_t{table[block + i]} * p_.kv_heads + item.kv_head) * kBytes
                            : 0;
        std::byte* to = claim(2 * count * kBytes);
        if (to == nullptr) return;
        for (int i = 0; i < count; ++i) {
          copy_bulk(to + 2 * i * kBytes, p_.keys + ph.cache_layer * p_.kv_layer_stride + at[i],
                    kBytes, &b_.full[turn_.at]);
          copy_bulk(to + (2 * i + 1) * kBytes,
                    p_.values + ph.cache_layer * p_.kv_layer_stride + at[i], kBytes,
                    &b_.full[turn_.at]);
        }
        turn_.advance(p_.tiles);
      }
      stamp(p_, phase_, kStampAskedLast, ticks());
    }
  }

  const DecodeStepParams& p_;
  const Block& b_;
  Turn turn_;
  Turn landed_;
  int issued_ = 0;
  int phase_ = 0;
};

}  // namespace millrace::MILLRACE_GPU::decode
