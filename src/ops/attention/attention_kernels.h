// The lists that kernels_of(Attention) is put together from, and what their sources share.
#pragma once

#include "ops/attention/attention.h"

namespace millrace {

// What the kernels' registers and stack are made for.
constexpr int kAttentionMostHeadDim = 256;
constexpr int kAttentionMostGroup = 16;
constexpr int kAttentionBlock = 16;  // KvView::block_tokens

namespace baseline {
void attention_row(const AttentionParams& p, const SpanView& span, std::int64_t i, int kv_head);
}
namespace avx2 {
void attention_row(const AttentionParams& p, const SpanView& span, std::int64_t i, int kv_head);
}
namespace avx512 {
void attention_row(const AttentionParams& p, const SpanView& span, std::int64_t i, int kv_head);
}

std::span<const KernelSpec<Attention>> reference_attention_kernels();
std::span<const KernelSpec<Attention>> cpu_attention_kernels();

}  // namespace millrace
