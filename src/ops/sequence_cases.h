// Batches for the cases of sequence-aware ops: spans over shuffled blocks.
#pragma once

#include <algorithm>
#include <numeric>
#include <vector>

#include "ops/batch_view.h"
#include "ops/op_cases.h"

namespace millrace {

struct CaseSpan {
  std::int32_t position;
  std::int32_t count;
  bool replay = false;
};

struct CaseBatch {
  BatchView view;
  std::int32_t blocks;  // in the pool
};

// Sequence i has slot i and its own blocks, dealt at random.
template <typename Op>
CaseBatch make_batch(TypedInstance<Op>& instance, const std::vector<CaseSpan>& spans) {
  constexpr std::int32_t kBlock = 16;
  std::int32_t longest = 0;
  for (const CaseSpan& span : spans)
    longest = std::max(longest, (span.position + span.count + kBlock - 1) / kBlock);
  const auto sequences = static_cast<std::int32_t>(spans.size());
  std::vector<std::int32_t> tables(static_cast<std::size_t>(longest * sequences));
  std::iota(tables.begin(), tables.end(), 0);
  std::shuffle(tables.begin(), tables.end(), instance.random());
  std::vector<SpanView> views;
  std::int32_t row = 0;
  CaseBatch batch = {};
  for (std::int32_t i = 0; i < sequences; ++i) {
    const CaseSpan& span = spans[static_cast<std::size_t>(i)];
    views.push_back({.first_row = row,
                     .count = span.count,
                     .position = span.position,
                     .table = i,
                     .slot = i,
                     .conv_from = span.replay ? span.position : 0,
                     .writes_kv = span.replay ? 0 : 1});
    row += span.count;
    batch.view.max_count = std::max<std::int64_t>(batch.view.max_count, span.count);
  }
  batch.view.rows = row;
  batch.view.spans = instance.copy_of(views);
  batch.view.span_count = sequences;
  batch.view.block_tables = instance.copy_of(tables);
  batch.view.table_stride = longest;
  batch.blocks = longest * sequences;
  return batch;
}

inline std::string describe(const std::vector<CaseSpan>& spans) {
  std::string text;
  for (const CaseSpan& span : spans)
    text += fmt::format("{}{}+{}{}", text.empty() ? "" : " ", span.position, span.count,
                        span.replay ? "r" : "");
  return text;
}

}  // namespace millrace
