// The lists that kernels_of(Attention) is put together from, and what their sources share.
#pragma once

#include "ops/attention/attention.h"

namespace millrace {

// What the kernels' registers and stack are made for.
constexpr int kAttentionMostHeadDim = 256;
constexpr int kAttentionMostGroup = 16;
constexpr int kAttentionMostQueries = 32;  // rows times heads of a tile
constexpr int kAttentionBlock = 16;        // KvView::block_tokens

// Rows [first, first + rows) of a span for the heads of one KV head; rows * group is at most
// kAttentionMostQueries.
namespace baseline {
void attention_rows(const AttentionParams& p, const SpanView& span, std::int64_t first, int rows,
                    int kv_head);
}
namespace avx2 {
void attention_rows(const AttentionParams& p, const SpanView& span, std::int64_t first, int rows,
                    int kv_head);
}
namespace avx512 {
void attention_rows(const AttentionParams& p, const SpanView& span, std::int64_t first, int rows,
                    int kv_head);
}

std::span<const KernelSpec<Attention>> reference_attention_kernels();
std::span<const KernelSpec<Attention>> cpu_attention_kernels();

// The portable GPU kernels, attention_gpu.cu, as each backend compiled them.
namespace cuda {
std::span<const KernelSpec<Attention>> attention_kernels();
std::span<const KernelSpec<Attention>> sm90_attention_kernels();  // attention_sm90.cu
}  // namespace cuda
namespace hip {
std::span<const KernelSpec<Attention>> attention_kernels();
}
namespace emulated {
std::span<const KernelSpec<Attention>> attention_kernels();
}

}  // namespace millrace
