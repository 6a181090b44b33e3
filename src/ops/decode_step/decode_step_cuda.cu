// One block a multiprocessor walks all phases of a decode step. Its waves have roles: eight
// multiply, one finishes outputs, one thread asks for weights, one wave watches for inputs.
//
// Blocks meet through exchange memory. A word says itself whether it has been written
// (kDecodeUnwritten), so writers need no fence and readers no acquire: they look again until all
// words are there. Counters (hints) only say when it is worth looking. Every phase has words of its
// own and there are two sets of all, used in turn; so nothing is written twice in a step, and the
// set that the last step used is cleared on the side.
//
// All blocks must run at once: a cooperative launch.
#include "device/cuda/cuda_stream.h"
#include "ops/decode_step/decode_epilogue.cuh"
#include "ops/decode_step/decode_producer.cuh"
#include "ops/decode_step/decode_products.cuh"
#include "ops/decode_step/decode_step_cuda.h"

namespace millrace::cuda {
namespace {

using namespace decode;

constexpr int kEpilogueWave = kDecodeWaves;
constexpr int kProducerWave = kDecodeWaves + 1;
// One more watches.
constexpr int kThreads = (kDecodeWaves + 3) * kLanes;

// The words and counters that the last step used, of the other set.
__device__ void clear_other_set(const DecodeStepParams& p, int other, int last_rows) {
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const std::int64_t words = last_rows * p.row_words;
  auto* to = reinterpret_cast<uint4*>(p.exchange + other * kDecodeStepMostRows * p.row_words);
  const std::int64_t step = std::int64_t{p.processors} * kLanes;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kLanes + lane; i < words / 4;
       i += step)
    to[i] = {kDecodeUnwritten, kDecodeUnwritten, kDecodeUnwritten, kDecodeUnwritten};
  if (blockIdx.x != gridDim.x - 1) return;
  for (int i = lane; i < p.phase_count; i += kLanes)
    p.hints[(other * p.phase_count + i) * kDecodeHintStride] = 0;
}

// Opens phases as their inputs come near completion.
__device__ void watch(const DecodeStepParams& p, const Block& b) {
  if (threadIdx.x % kLanes != 0) return;
  for (int phase = 1; phase < p.phase_count; ++phase) {
    const int wanted = producers_of(p, b, phase - 1) - p.slack;
    for (int looks = 0; static_cast<int>(load_word(b.hint(phase - 1))) < wanted; ++looks)
      if (looks > kMostLooks) __trap();
    *b.opened = phase;
    stamp(p, phase, kStampOpen, clock64());
  }
}

template <int kRows>
__global__ void __launch_bounds__(kThreads, 1)
    decode_step(const __grid_constant__ DecodeStepParams p) {
  extern __shared__ __align__(128) std::byte memory[];
  Block b = lay_out<kRows>(p, memory);
  b.rows = static_cast<int>(p.batch.rows);
  b.splits = attention_splits(p, b.rows);
  const int thread = static_cast<int>(threadIdx.x);
  if (thread == 0) {
    for (int i = 0; i < p.tiles; ++i) {
      init_barrier(&b.full[i], 1);
      init_barrier(&b.empty[i], kDecodeWaves);
    }
    for (int i = 0; i < p.part_buffers; ++i) {
      init_barrier(&b.part_full[i], kDecodeWaves);
      init_barrier(&b.part_empty[i], 1);
    }
    *b.opened = 0;
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  const int set = p.state[0] % 2;
  const int last_rows = p.state[1];
  b.exchange = p.exchange + set * kDecodeStepMostRows * p.row_words;
  b.hints = p.hints + set * p.phase_count * kDecodeHintStride;
  for (int i = thread; i < p.phase_count; i += kThreads) {
    const std::int32_t* firsts = p.firsts + i * (p.processors + 1) + blockIdx.x;
    b.stops[i] = {p.phases[i], firsts[0], firsts[1]};
  }
  __syncthreads();
  const int wave = thread / kLanes;
  if (wave < kDecodeWaves) {
    Multiplier<kRows>(p, b).run();
  } else if (wave == kEpilogueWave) {
    Epilogue<kRows>(p, b).run();
  } else if (wave == kProducerWave) {
    if (thread % kLanes == 0) Producer(p, b).run();
  } else {
    clear_other_set(p, 1 - set, last_rows);
    watch(p, b);
  }
  __syncthreads();
  // The last block to come here: nobody reads this step's state any more.
  if (thread == 0 && atomicAdd(&p.state[2], 1) == p.processors - 1) {
    p.state[0] = 1 - set;
    p.state[1] = b.rows;
    p.state[2] = 0;
  }
}

// A thread brings 16 bytes: eight columns of a row.
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
    reinterpret_cast<uint4*>(p.packed)[i] = *reinterpret_cast<const uint4*>(
        static_cast<const __nv_bfloat16*>(p.matrices[row.matrix]) + row.row * p.k + column);
  }
}

template <int kRows>
void run(const DecodeStepLaunch& launch, Stream& stream) {
  auto* kernel = decode_step<kRows>;
  require(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                               static_cast<int>(launch.shared_bytes)),
          "more shared memory for a kernel");
  cudaLaunchConfig_t config = {};
  config.gridDim = {static_cast<unsigned>(launch.step.processors)};
  config.blockDim = {kThreads};
  config.dynamicSmemBytes = static_cast<std::size_t>(launch.shared_bytes);
  config.stream = handle_of(stream);
  cudaLaunchAttribute attribute = {};
  attribute.id = cudaLaunchAttributeCooperative;
  attribute.val.cooperative = 1;
  config.attrs = &attribute;
  config.numAttrs = 1;
  require(cudaLaunchKernelEx(&config, kernel, launch.step), "a kernel launch");
}

}  // namespace

void run_decode_step(const DecodeStepLaunch& launch, Stream& stream) {
  switch (launch.rows) {
    case 1:
      return run<1>(launch, stream);
    case 2:
      return run<2>(launch, stream);
    case 4:
      return run<4>(launch, stream);
    default:
      return run<8>(launch, stream);
  }
}

void run_decode_pack(const DecodePack& p, Stream& stream) {
  pack<<<1056, 256, 0, handle_of(stream)>>>(p);
  require(cudaGetLastError(), "a kernel launch");
}

}  // namespace millrace::cuda
