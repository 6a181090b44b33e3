// What the sequence-aware ops (short_conv, rope_kv, attention) know of a step: which rows belong to
// which sequence, and where that sequence's memory is. Views into memory the engine's runner owns,
// in device memory on a GPU; valid for one step.
#pragma once

#include <cstdint>

#include "tensor/dtype.h"

namespace millrace {

// Rows [first_row, first_row + count) of the step are positions [position, position + count) of
// one sequence.
struct SpanView {
  std::int32_t first_row;
  std::int32_t count;
  std::int32_t position;
  std::int32_t table;  // row of BatchView::block_tables
  std::int32_t slot;   // conv-state slot
  // First position whose conv column in the slot may be used: 0 for a sequence with a whole
  // history; the start of the replay while a state is rebuilt (earlier columns count as zero).
  std::int32_t conv_from;
  // 0 while a conv state is rebuilt over cached KV (spec 4.6): such rows read KV, never write it.
  std::int32_t writes_kv;
};

struct BatchView {
  std::int64_t rows = 0;            // tokens in the step
  const SpanView* spans = nullptr;  // [span_count], in order of rows
  std::int64_t span_count = 0;
  const std::int32_t* row_spans = nullptr;     // [rows]: the index in `spans` of each row's
  std::int64_t max_count = 0;                  // longest span; 1 means that all spans decode
  const std::int32_t* block_tables = nullptr;  // [tables][table_stride] block ids
  std::int64_t table_stride = 0;
};

// What keys and values may be kept as.
constexpr bool is_cache_type(DType dtype) {
  return dtype == DType::F32 || dtype == DType::BF16 || dtype == DType::F8_E4M3;
}

// One attention layer's cache. Block b holds positions [b*16, b*16+16) of whoever refers to it.
// Key and value: [blocks][kv_heads][block_tokens][head_dim].
struct KvView {
  void* key = nullptr;
  void* value = nullptr;
  int kv_heads = 0;
  int head_dim = 0;
  int block_tokens = 16;
  DType dtype = DType::F32;
};

// One conv layer's state: a ring per slot, [slots][ring][channels] float. The gated product v of
// position p is column p % ring, so moving a sequence back is only a smaller position (design.md
// 4): a ring of K-1+d columns undoes up to d tokens.
struct ConvStateView {
  float* columns = nullptr;
  std::int64_t ring = 0;
  std::int64_t channels = 0;
};

}  // namespace millrace
