#include "ops/embedding/embedding_gpu.h"
#include "ops/gpu_support.h"

namespace millrace::MILLRACE_GPU {
namespace {

constexpr int kThreads = 256;

template <typename W, bool kVector>
__global__ void __launch_bounds__(kThreads)
    embedding(const W* table, const std::int32_t* tokens, const std::int32_t* sampled, float* out,
              std::int64_t columns, std::int64_t out_stride) {
  gpu::wait_for_previous();
  gpu::let_next_start();
  const std::int64_t t = blockIdx.x;
  const std::int32_t token = tokens[t] < 0 ? sampled[-1 - tokens[t]] : tokens[t];
  const W* from = table + token * columns;
  float* to = out + t * out_stride;
  constexpr int kStep = kVector ? 4 : 1;
  for (std::int64_t c = kStep * threadIdx.x; c < columns; c += kStep * kThreads) {
    if constexpr (kVector)
      gpu::store4(to + c, gpu::load4(from + c));
    else
      to[c] = gpu::widen(from[c]);
  }
}

template <typename W>
void run_typed(const EmbeddingParams& p, Stream& stream) {
  const std::int64_t columns = p.out.columns;
  const bool vector =
      columns % 8 == 0 && gpu::is_aligned(p.table.data) && gpu::rows_are_aligned(p.out);
  gpu::launch(vector ? embedding<W, true> : embedding<W, false>,
              {.grid = {static_cast<unsigned>(p.rows)}, .block = {kThreads}, .overlaps = true},
              stream, p.table.as<W>(), p.tokens, p.sampled, static_cast<float*>(p.out.data),
              columns, p.out.stride);
}

}  // namespace

void run_embedding(const EmbeddingParams& p, Stream& stream) {
  if (p.rows == 0) return;
  if (p.table.dtype == DType::BF16)
    run_typed<BF16>(p, stream);
  else
    run_typed<float>(p, stream);
}

}  // namespace millrace::MILLRACE_GPU
