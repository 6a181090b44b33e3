// A thread takes 16 bytes of neighbouring channels over a chunk of rows and keeps the last K-1
// columns of v in registers. Chunks do not wait for each other: one that begins inside a span
// computes the columns before it again from the gates. The thread that has a span's first row reads
// the ring and, after that, writes it: no other thread touches those channels of it.
#include "ops/gpu_lanes.h"
#include "ops/gpu_support.h"
#include "ops/short_conv/short_conv_gpu.h"

namespace millrace::MILLRACE_GPU {
namespace {

constexpr int kThreads = 128;
// Of a chunk: as many as the registers of three blocks a multiprocessor, or waves a SIMD, hold.
constexpr int kRows = gpu::kWave == 32 ? 7 : 6;

using gpu::Lanes;
using gpu::load_lanes;
using gpu::load_packed;
using gpu::Packed;
using gpu::store_lanes;
using gpu::widen_lanes;

// kTaps 0: any number, the columns then come from memory every time. kWidth: channels a thread.
template <typename T, int kTaps, int kWidth>
struct Convolution {
  using Values = Lanes<kWidth>;

  static_assert(kTaps == 0 || (kTaps > 1 && kTaps - 1 <= kRows));

  const ShortConvParams& p;
  std::int64_t channel;

  // A row's gates B, C and z, in that order.
  struct Gates {
    Packed<kWidth, T> b, c, z;
  };
  __device__ Gates gates(std::int64_t row) const {
    const T* at = static_cast<const T*>(p.gates.data) + row * p.gates.stride + channel;
    return {load_packed<kWidth>(at), load_packed<kWidth>(at + p.out.columns),
            load_packed<kWidth>(at + 2 * p.out.columns)};
  }
  static __device__ Values gated(const Gates& gates) {  // v = B * z
    Values v = widen_lanes(gates.b);
    const Values z = widen_lanes(gates.z);
#pragma unroll
    for (int i = 0; i < kWidth; ++i) v.at[i] *= z.at[i];
    return v;
  }
  __device__ Values gated(std::int64_t row) const {
    return gated(gates(row));
  }

  __device__ float* ring_at(const SpanView& span, std::int64_t position) const {
    return p.state.columns +
           (span.slot * p.state.ring + position % p.state.ring) * p.state.channels + channel;
  }

  // The column of v `back` positions before row `row` of the span.
  __device__ Values column(const SpanView& span, std::int64_t row, int back) const {
    const std::int64_t in_span = row - span.first_row - back;
    if (in_span >= 0) return gated(row - back);
    const std::int64_t position = span.position + in_span;
    if (position < span.conv_from || position < 0) return {};
    return load_lanes<kWidth>(ring_at(span, position));
  }

  __device__ void emit(std::int64_t row, const Values& sum, const Gates& gates) const {
    const Values c = widen_lanes(gates.c);
    Values out;
#pragma unroll
    for (int i = 0; i < kWidth; ++i) out.at[i] = c.at[i] * sum.at[i];
    store_lanes(static_cast<T*>(p.out.data) + row * p.out.stride + channel, out);
  }

  __device__ void write_ring(const SpanView& span) const {
    const std::int64_t count = span.count;
    for (std::int64_t i = count > p.state.ring ? count - p.state.ring : 0; i < count; ++i)
      store_lanes<kWidth>(ring_at(span, span.position + i), gated(span.first_row + i));
  }

  __device__ Values tap(int k) const {
    return load_lanes<kWidth>(p.kernel + k * p.out.columns + channel);
  }

  // Rows [first, last) of the span, counted in it: at most kRows.
  __device__ void run_chunk(const SpanView& span, std::int64_t first, std::int64_t last,
                            const Values* weights) const {
    if constexpr (kTaps > 0)
      run_rows(span, first, last, weights);
    else
      for (std::int64_t row = span.first_row + first; row < span.first_row + last; ++row)
        run_row(span, row);
    if (first == 0) write_ring(span);
  }

 private:
  // Everything that is read is asked for before anything is computed.
  __device__ void run_rows(const SpanView& span, std::int64_t first, std::int64_t last,
                           const Values* weights) const {
    const std::int64_t row_0 = span.first_row + first;
    const auto count = static_cast<int>(last - first);
    Values kept[kTaps - 1];  // of the last K-1 positions, oldest first
    for (int k = 0; k < kTaps - 1; ++k) kept[k] = column(span, row_0, kTaps - 1 - k);
    Gates rows[kRows];
#pragma unroll
    for (int i = 0; i < kRows; ++i)
      if (i < count) rows[i] = gates(row_0 + i);
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      if (i >= count) break;
      const Values now = gated(rows[i]);
      Values sum = bias();
#pragma unroll
      for (int c = 0; c < kWidth; ++c) {
        for (int k = 0; k < kTaps - 1; ++k)
          sum.at[c] = fmaf(weights[k].at[c], kept[k].at[c], sum.at[c]);
        sum.at[c] = fmaf(weights[kTaps - 1].at[c], now.at[c], sum.at[c]);
      }
      for (int k = 0; k + 1 < kTaps - 1; ++k) kept[k] = kept[k + 1];
      kept[kTaps - 2] = now;
      emit(row_0 + i, sum, rows[i]);
    }
  }
  __device__ void run_row(const SpanView& span, std::int64_t row) const {
    Values sum = bias();
    for (int k = 0; k < p.taps; ++k) {
      const Values weight = tap(k);
      const Values v = column(span, row, p.taps - 1 - k);
#pragma unroll
      for (int i = 0; i < kWidth; ++i) sum.at[i] = fmaf(weight.at[i], v.at[i], sum.at[i]);
    }
    emit(row, sum, gates(row));
  }
  // LFM2 has none; others' comes from the cache rather than from registers.
  __device__ Values bias() const {
    return p.bias ? load_lanes<kWidth>(p.bias + channel) : Values{};
  }
};

template <typename T, int kTaps, int kWidth>
__global__ void __launch_bounds__(kThreads, 3) short_conv(ShortConvParams p, int chunk) {
  const std::int64_t channel = (std::int64_t{blockIdx.x} * kThreads + threadIdx.x) * kWidth;
  if (channel >= p.out.columns) {
    gpu::wait_for_previous();
    return;
  }
  const Convolution<T, kTaps, kWidth> convolution = {p, channel};
  Lanes<kWidth> weights[kTaps > 0 ? kTaps : 1];
  if constexpr (kTaps > 0)
    for (int k = 0; k < kTaps; ++k) weights[k] = convolution.tap(k);
  gpu::wait_for_previous();
  gpu::let_next_start();
  const SpanView span = p.batch.spans[blockIdx.y];
  for (std::int64_t first = std::int64_t{blockIdx.z} * chunk; first < span.count;
       first += std::int64_t{gridDim.z} * chunk) {
    const std::int64_t last = first + chunk < span.count ? first + chunk : span.count;
    convolution.run_chunk(span, first, last, weights);
  }
}

template <typename T, int kTaps, int kWidth>
void run_shaped(const ShortConvParams& p, Stream& stream) {
  // The first chunk alone may need the ring.
  const int chunk = std::max(p.taps - 1, kRows);
  const std::int64_t per_block = std::int64_t{kThreads} * kWidth;
  const std::int64_t chunks = (p.batch.max_count + chunk - 1) / chunk;
  // Where spans of all lengths mix, most blocks of a full grid would find nothing to do.
  constexpr std::int64_t kEnough = 4096;
  const std::int64_t depth =
      std::max<std::int64_t>(1, std::min(chunks, kEnough / p.batch.span_count));
  gpu::launch(short_conv<T, kTaps, kWidth>,
              {.grid = {static_cast<unsigned>((p.out.columns + per_block - 1) / per_block),
                        static_cast<unsigned>(p.batch.span_count), static_cast<unsigned>(depth)},
               .block = {kThreads},
               .overlaps = true},
              stream, p, chunk);
}

template <typename T>
void run_typed(const ShortConvParams& p, Stream& stream) {
  const bool vector = p.out.columns % 8 == 0 && gpu::rows_are_aligned(p.gates) &&
                      gpu::rows_are_aligned(p.out) && gpu::is_aligned(p.kernel) &&
                      gpu::is_aligned(p.bias) && gpu::is_aligned(p.state.columns) &&
                      p.state.channels % 8 == 0;
  if (p.taps == 3 && vector) return run_shaped<T, 3, 16 / sizeof(T)>(p, stream);
  if (vector) return run_shaped<T, 0, 4>(p, stream);
  run_shaped<T, 0, 1>(p, stream);
}

}  // namespace

void run_short_conv(const ShortConvParams& p, Stream& stream) {
  if (p.batch.rows == 0) return;
  if (p.out.dtype == DType::BF16)
    run_typed<BF16>(p, stream);
  else
    run_typed<float>(p, stream);
}

}  // namespace millrace::MILLRACE_GPU
