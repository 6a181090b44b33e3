// One block a multiprocessor walks all phases of a decode step. Its waves have roles: eight
// multiply, one finishes outputs, one thread asks for weights, one wave watches for inputs.
//
// Blocks meet through exchange memory. A word says itself whether it has been written
// (kDecodeUnwritten), so writers need no fence and readers no acquire: they look again until all
// words are there. Counters (hints) only say when it is worth looking. Every phase has words of its
// own and there are two sets of all, used in turn; so nothing is written twice in a step, and the
// set that the last step used is cleared on the side.
//
// All blocks must run at once: a cooperative launch. Should one of them wait in vain all the same,
// all leave: see decode_watch.cuh.
#include "ops/decode_step/decode_epilogue.cuh"
#include "ops/decode_step/decode_frame.cuh"
#include "ops/decode_step/decode_producer.cuh"
#include "ops/decode_step/decode_products.cuh"
#include "ops/decode_step/decode_step_persistent.h"
#include "ops/decode_step/decode_watch.cuh"

namespace millrace::MILLRACE_GPU {
namespace {

using namespace decode;

constexpr int kEpilogueWave = kDecodeWaves;
constexpr int kProducerWave = kEpilogueWave + 1;
// One more watches.
constexpr int kThreads = (kProducerWave + 2) * kLanes;

template <int kRows, typename Cache>
__global__ void __launch_bounds__(kThreads, 1)
    decode_step(const __grid_constant__ DecodeStepParams p) {
  if (load_word(p.alarm) != 0) return;
  Block b = lay_out<kRows>(p, gpu::dynamic_shared());
  const int last_rows = p.state[1];
  const int set = begin_block(p, b, kThreads);
  const int thread = static_cast<int>(threadIdx.x);
  const int wave = thread / kLanes;
  if (wave < kDecodeWaves) {
    Multiplier<kRows, Cache>(p, b).run();
  } else if (wave == kEpilogueWave) {
    Epilogue<kRows>(p, b).run();
  } else if (wave == kProducerWave) {
    if (thread % kLanes == 0) Producer<Cache>(p, b).run();
  } else {
    clear_other_set(p, 1 - set, last_rows);
    if (thread % kLanes == 0) Watch(p, b).run();
  }
  end_block(p, set, b.rows);
}

// A thread brings 16 bytes: eight columns of a row, pairs in the order 0, 2, 1, 3 (see Multiplier).
__global__ void pack(DecodePack p) {
  const std::int64_t strips = p.k / kDecodeStripColumns;
  const std::int64_t pieces = p.units * p.subs * strips * (kDecodeStripBytes / 16);
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
       i < pieces; i += static_cast<std::int64_t>(gridDim.x) * blockDim.x) {
    const int lane = static_cast<int>(i % kLanes);
    const std::int64_t wave = i / kLanes % kDecodeWaves;
    const std::int64_t strip = i / (kLanes * kDecodeWaves) % strips;
    const std::int64_t sub = i / (kLanes * kDecodeWaves) / strips;
    const DecodeRow row =
        decode_row(p.kind, p.hidden, sub / p.subs, static_cast<int>(sub % p.subs), lane / 4);
    const std::int64_t column = strip * kDecodeStripColumns + 32 * wave + lane % 4 * 8;
    const Words4 v = *reinterpret_cast<const Words4*>(
        static_cast<const std::uint16_t*>(p.matrices[row.matrix]) + row.row * p.k + column);
    reinterpret_cast<Words4*>(p.packed)[i] = {v.x, v.z, v.y, v.w};
  }
}

using Kernel = void (*)(DecodeStepParams);

template <typename Cache>
Kernel kernel_for(int rows) {
  return rows == 1   ? decode_step<1, Cache>
         : rows == 2 ? decode_step<2, Cache>
         : rows == 4 ? decode_step<4, Cache>
                     : decode_step<8, Cache>;
}

}  // namespace

void run_decode_step(const DecodeStepLaunch& launch, Stream& stream) {
  const Kernel kernel =
      launch.fp8_cache ? kernel_for<Fp8Cache>(launch.rows) : kernel_for<Bf16Cache>(launch.rows);
  launch_together(kernel, launch.step.processors, kThreads, launch.shared_bytes, stream,
                  launch.step);
}

void run_decode_pack(const DecodePack& p, Stream& stream) {
  gpu::launch(pack, {.grid = {.x = 1056}, .block = {.x = 256}}, stream, p);
}

}  // namespace millrace::MILLRACE_GPU
