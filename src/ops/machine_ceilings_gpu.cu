// How fast memory can be read and copied: nothing but 16-byte loads and stores, many in flight.
#include "device/gpu/gpu.h"
#include "ops/machine_ceilings_gpu.h"

namespace millrace::MILLRACE_GPU {
namespace {

constexpr int kThreads = 512;
constexpr int kInFlight = 8;  // loads of a thread
constexpr int kBlocksEach = 4;

__global__ void __launch_bounds__(kThreads)
    read_all(const gpu::Bits16* from, std::int64_t units, std::uint32_t* sink) {
  std::uint32_t sum = 0;
  const std::int64_t tile = std::int64_t{kThreads} * kInFlight;
  for (std::int64_t first = blockIdx.x * tile; first < units; first += gridDim.x * tile) {
    gpu::Bits16 values[kInFlight];
    for (int i = 0; i < kInFlight; ++i) {
      const std::int64_t at = first + i * kThreads + threadIdx.x;
      values[i] = at < units ? gpu::load_once(from + at) : gpu::Bits16{};
    }
    for (int i = 0; i < kInFlight; ++i)
      sum += values[i].x ^ values[i].y ^ values[i].z ^ values[i].w;
  }
  if (sum == 0x12345678) *sink = sum;  // results must be used, or the loads vanish
}

__global__ void __launch_bounds__(kThreads)
    copy_all(const gpu::Bits16* from, gpu::Bits16* to, std::int64_t units) {
  const std::int64_t tile = std::int64_t{kThreads} * kInFlight;
  for (std::int64_t first = blockIdx.x * tile; first < units; first += gridDim.x * tile) {
    gpu::Bits16 values[kInFlight];
    for (int i = 0; i < kInFlight; ++i) {
      const std::int64_t at = first + i * kThreads + threadIdx.x;
      if (at < units) values[i] = gpu::load_once(from + at);
    }
    for (int i = 0; i < kInFlight; ++i) {
      const std::int64_t at = first + i * kThreads + threadIdx.x;
      if (at < units) to[at] = values[i];
    }
  }
}

gpu::LaunchShape shape_for(Stream& stream) {
  return {.grid = {static_cast<unsigned>(kBlocksEach * gpu::multiprocessors(stream))},
          .block = {kThreads}};
}

}  // namespace

void read_memory(const void* from, std::int64_t bytes, std::uint32_t* sink, Stream& stream) {
  gpu::launch(read_all, shape_for(stream), stream, static_cast<const gpu::Bits16*>(from),
              bytes / 16, sink);
}

void copy_memory(const void* from, void* to, std::int64_t bytes, Stream& stream) {
  gpu::launch(copy_all, shape_for(stream), stream, static_cast<const gpu::Bits16*>(from),
              static_cast<gpu::Bits16*>(to), bytes / 16);
}

}  // namespace millrace::MILLRACE_GPU
