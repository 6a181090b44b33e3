// Causal grouped-query attention over the paged cache (spec 4.4, 5): position p of a sequence
// attends to cached positions (p - window, p], window 0 meaning all. The keys are visited in
// order of position in fixed tiles, so a row's result does not depend on how the prompt was cut.
#pragma once

#include "ops/batch_view.h"
#include "ops/matrix_view.h"

namespace millrace {

struct AttentionParams {
  MatrixView q;    // [rows, heads*head_dim], after norm and rope
  KvView cache;    // holds every position up to and including each row's own
  MatrixView out;  // [rows, heads*head_dim]
  BatchView batch;
  int heads;    // query head h reads KV head h / (heads / kv_heads)
  int window;   // 0: full attention
  float scale;  // 1/sqrt(head_dim)
  // attention_workspace_bytes() of device memory, zero before its first use, that nobody else
  // writes; null: kernels do without, more slowly.
  void* workspace = nullptr;
};

// Parts of sequences that wait to be put together, at most.
constexpr std::int64_t kFlashMostParts = 1024;
// Of attention_workspace_bytes(), for heads of at most 128 dimensions and groups of at most 8
// query heads: those parts, a word for each that counts them, two words that count out work.
constexpr std::int64_t kFlashPartsBytes = kFlashMostParts * (8 * (128 + 2)) * 4;
constexpr std::int64_t kAttentionCountersAt = kFlashPartsBytes + kFlashMostParts * 4;

constexpr std::int64_t attention_workspace_bytes() {
  return kAttentionCountersAt + 2 * 4;
}

}  // namespace millrace
