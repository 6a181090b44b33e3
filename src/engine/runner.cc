#include "engine/runner.h"

#include <algorithm>

#include "base/check.h"

namespace millrace {
namespace {

template <typename T>
std::size_t padded_bytes(const std::vector<T>& values) {
  return (values.size() * sizeof(T) + 255) / 256 * 256;
}

}  // namespace

std::int64_t Runner::bytes_for(const ModelConfig& config, DType activation,
                               const RunnerLimits& limits) {
  return Workspace::bytes_for(config, activation, limits.max_rows, limits.max_logit_rows);
}

Runner::Runner(const Lfm2& model, Device& device, CacheStorage& cache, const RunnerLimits& limits)
    : model_(&model),
      device_(&device),
      cache_(&cache),
      limits_(limits),
      stream_(device.make_stream()),
      workspace_(device, model.config(), limits.max_rows, limits.max_logit_rows),
      tokens_(static_cast<std::size_t>(limits.max_rows)),
      row_spans_(static_cast<std::size_t>(limits.max_rows)),
      spans_(static_cast<std::size_t>(limits.max_spans)),
      tables_(static_cast<std::size_t>(limits.max_spans * limits.max_blocks)),
      logit_rows_(static_cast<std::size_t>(limits.max_logit_rows)) {
  if (device.uses_host_memory()) return;
  device_inputs_ = device.allocate(2 * padded_bytes(tokens_) + padded_bytes(spans_) +
                                   padded_bytes(tables_) + padded_bytes(logit_rows_));
  host_logits_.resize(static_cast<std::size_t>(limits.max_logit_rows * model.config().vocab));
}

StepInput Runner::pack(std::span<const StepSpan> spans) {
  check(static_cast<std::int64_t>(spans.size()) <= limits_.max_spans,
        "a step has more sequences than the runner was made for");
  StepInput input;
  std::int64_t row = 0;
  std::int64_t logit_count = 0;
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const StepSpan& span = spans[i];
    const SequenceMemory& memory = *span.memory;
    const auto count = static_cast<std::int64_t>(span.tokens.size());
    const bool replay = span.kind == SpanKind::Replay;
    check(count > 0 && row + count <= limits_.max_rows, "a step has more rows than its limit");
    check(!replay || count == memory.replay_count(), "a replay must run all its tokens at once");
    check(replay || memory.replay_count() == 0, "a sequence goes on without its conv state");
    const std::int64_t first = replay ? memory.length() - count : memory.length();

    std::copy(span.tokens.begin(), span.tokens.end(), tokens_.begin() + row);
    const std::span<const std::int32_t> blocks = memory.block_ids();
    check(static_cast<std::int64_t>(blocks.size()) <= limits_.max_blocks,
          "a sequence has more blocks than the runner was made for");
    std::copy(blocks.begin(), blocks.end(),
              tables_.begin() + static_cast<std::int64_t>(i) * limits_.max_blocks);
    spans_[i] = {.first_row = static_cast<std::int32_t>(row),
                 .count = static_cast<std::int32_t>(count),
                 .position = static_cast<std::int32_t>(first),
                 .table = static_cast<std::int32_t>(i),
                 .slot = memory.slot(),
                 .conv_from = replay ? static_cast<std::int32_t>(first) : 0,
                 .writes_kv = replay ? 0 : 1};
    std::fill_n(row_spans_.begin() + row, count, static_cast<std::int32_t>(i));
    input.batch.max_count = std::max(input.batch.max_count, count);
    row += count;
    const std::int64_t wanted = span.logits == Logits::None  ? 0
                                : span.logits == Logits::All ? count
                                                             : 1;
    check(logit_count + wanted <= limits_.max_logit_rows, "a step asks for too many logits");
    for (std::int64_t r = row - wanted; r < row; ++r)
      logit_rows_[static_cast<std::size_t>(logit_count++)] = static_cast<std::int32_t>(r);
  }
  input.tokens = tokens_.data();
  input.batch.rows = row;
  input.batch.spans = spans_.data();
  input.batch.span_count = static_cast<std::int64_t>(spans.size());
  input.batch.row_spans = row_spans_.data();
  input.batch.block_tables = tables_.data();
  input.batch.table_stride = limits_.max_blocks;
  input.logit_rows = logit_rows_.data();
  input.logit_count = logit_count;
  return input;
}

void Runner::run(std::span<const StepSpan> spans, ForwardObserver* observer) {
  if (spans.empty()) return;
  StepInput input = pack(spans);
  if (!device_->uses_host_memory()) {
    std::byte* at = device_inputs_.as<std::byte>();
    const auto send = [&](const auto& values) {
      using T = typename std::decay_t<decltype(values)>::value_type;
      device_->copy_in(at, values.data(), values.size() * sizeof(T), *stream_);
      const T* there = reinterpret_cast<const T*>(at);
      at += padded_bytes(values);
      return there;
    };
    input.tokens = send(tokens_);
    input.batch.row_spans = send(row_spans_);
    input.batch.spans = send(spans_);
    input.batch.block_tables = send(tables_);
    input.logit_rows = send(logit_rows_);
  }
  model_->forward(input, workspace_, *cache_, *stream_, observer);
  logit_count_ = input.logit_count;
  if (!device_->uses_host_memory()) {
    device_->copy_out(
        host_logits_.data(), workspace_.logits.row<float>(0),
        static_cast<std::size_t>(logit_count_ * model_->config().vocab) * sizeof(float), *stream_);
    device_->synchronize(*stream_);
  }
  for (const StepSpan& span : spans) {
    if (span.kind == SpanKind::Replay)
      span.memory->replayed();
    else
      span.memory->appended(static_cast<std::int64_t>(span.tokens.size()));
  }
}

std::span<float> Runner::logits(std::int64_t row) {
  check(row >= 0 && row < logit_count_, "no such row of logits");
  const std::int64_t vocab = model_->config().vocab;
  float* base = device_->uses_host_memory() ? workspace_.logits.row<float>(0) : host_logits_.data();
  return {base + row * vocab, static_cast<std::size_t>(vocab)};
}

}  // namespace millrace
