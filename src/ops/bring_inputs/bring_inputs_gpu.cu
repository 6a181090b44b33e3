#include "ops/bring_inputs/bring_inputs_gpu.h"
#include "ops/gpu_support.h"

namespace millrace::MILLRACE_GPU {
namespace {

constexpr int kThreads = 256;

// Pieces are the grid's second dimension. Every word has a thread: what counts is how often the way
// to the host and back is gone, and so it is once.
__global__ void __launch_bounds__(kThreads) bring_inputs(BringInputsParams p) {
  gpu::wait_for_previous();
  gpu::let_next_start();
  const BringInputsParams::Piece& piece = p.pieces[blockIdx.y];
  const std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < piece.words) piece.to[i] = piece.from[i];
}

}  // namespace

void run_bring_inputs(const BringInputsParams& p, Stream& stream) {
  std::int64_t most = 0;
  for (int i = 0; i < p.count; ++i) most = p.pieces[i].words > most ? p.pieces[i].words : most;
  if (most == 0) return;
  gpu::launch(bring_inputs,
              {.grid = {static_cast<unsigned>((most + kThreads - 1) / kThreads),
                        static_cast<unsigned>(p.count)},
               .block = {kThreads},
               .overlaps = true},
              stream, p);
}

}  // namespace millrace::MILLRACE_GPU
