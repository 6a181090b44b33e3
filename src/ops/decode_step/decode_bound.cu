// What a decode step cannot be faster than with these phases: a kernel that asks for the same bytes
// in the same order, with the same barriers between phases, and computes nothing. For decode_bench.
#include "ops/decode_step/decode_frame.cuh"
#include "ops/decode_step/decode_producer.cuh"
#include "ops/decode_step/decode_step_persistent.h"
#include "ops/decode_step/decode_watch.cuh"

namespace millrace::MILLRACE_GPU {
namespace {

using namespace decode;

constexpr int kProducerWave = kDecodeWaves;
constexpr int kThreads = (kProducerWave + 2) * kLanes;

// Looks at each tile and lets it go.
template <typename Cache>
class Reader {
 public:
  __device__ Reader(const DecodeStepParams& p, const Block& b) : p_(p), b_(b) {
    wave_ = static_cast<int>(threadIdx.x) / kLanes;
    lane_ = static_cast<int>(threadIdx.x) % kLanes;
  }

  __device__ void run() {
    for (int phase = 0; phase < p_.phase_count; ++phase) {
      const DecodeStop stop = b_.stops[phase];
      if (phase > 0) await_input(b_, phase);
      const bool produces =
          stop.phase.kind == DecodePhaseKind::Attention ? attend() : multiply(stop);
      sync_multipliers();
      if (threadIdx.x == 0 && produces) count_up(b_.hint(phase));
    }
    if (threadIdx.x == 0) *b_.finished = 1;
    // Never true: the compiler must not leave the reading out.
    if (seen_ == 1 && p_.phase_count == 0) store_word(p_.alarm, seen_);
  }

 private:
  // Whether this block has units.
  __device__ bool multiply(const DecodeStop& stop) {
    const int strips = stop.phase.k / kDecodeStripColumns;
    const int tile = decode_tile_strips(strips);
    const int units = stop.units.last - stop.units.first;
    for (int i = units * stop.phase.subs * (strips / tile); i > 0; --i) look_at_tile(tile);
    return units > 0;
  }
  __device__ bool attend() {
    const int items = attention_items(p_, b_);
    for (int index = blockIdx.x; index < items; index += p_.processors) {
      const AttentionItem item = attention_item(p_, b_, index);
      for (std::int64_t block = item.first_block; block < item.last_block;
           block += CacheSizes<Cache>::kTileBlocks)
        look_at_tile(1);
    }
    return static_cast<int>(blockIdx.x) < items;
  }
  __device__ void look_at_tile(int strips) {
    wait_for(b_, &b_.full[tile_.at], tile_.parity);
    const std::byte* from = b_.ring + tile_.at * kDecodeTileBytes + wave_ * 512 + lane_ * 16;
    for (int i = 0; i < strips; ++i)
      seen_ &= reinterpret_cast<const Words4*>(from + i * kDecodeStripBytes)->x;
    gpu::sync_wave();
    if (lane_ == 0) arrive(&b_.empty[tile_.at]);
    tile_.advance(p_.tiles);
  }

  const DecodeStepParams& p_;
  const Block& b_;
  Turn tile_;
  int wave_, lane_;
  std::uint32_t seen_ = kDecodeUnwritten;
};

template <typename Cache>
__global__ void __launch_bounds__(kThreads, 1)
    decode_bound(const __grid_constant__ DecodeStepParams p) {
  if (load_word(p.alarm) != 0) return;
  Block b = lay_out<1>(p, gpu::dynamic_shared());
  const int last_rows = p.state[1];
  const int set = begin_block(p, b, kThreads);
  const int wave = static_cast<int>(threadIdx.x) / kLanes;
  if (wave < kDecodeWaves) {
    Reader<Cache>(p, b).run();
  } else if (wave == kProducerWave) {
    if (threadIdx.x % kLanes == 0) Producer<Cache>(p, b).run();
  } else {
    clear_other_set(p, 1 - set, last_rows);
    if (threadIdx.x % kLanes == 0) Watch(p, b).run();
  }
  end_block(p, set, 0);
}

}  // namespace

void run_decode_bound(const DecodeStepLaunch& launch, Stream& stream) {
  auto* kernel = launch.fp8_cache ? decode_bound<Fp8Cache> : decode_bound<Bf16Cache>;
  launch_together(kernel, launch.step.processors, kThreads, launch.shared_bytes, stream,
                  launch.step);
}

}  // namespace millrace::MILLRACE_GPU
