#include "engine/runner.h"

#include <algorithm>
#include <chrono>

#include "base/check.h"
#include "ops/sample/sample_row.h"
#include "tensor/half.h"

namespace millrace {
std::int64_t Runner::bytes_for(const ModelConfig& config, DType activation,
                               const RunnerLimits& limits) {
  return Workspace::bytes_for(config, activation, limits.max_rows, limits.max_logit_rows);
}

std::size_t Runner::lay_out(const RunnerLimits& limits, std::byte* base, Inputs& inputs) {
  std::size_t at = 0;
  const auto place = [&]<typename T>(T*& member, std::int64_t count) {
    member = reinterpret_cast<T*>(base + at);
    at += (static_cast<std::size_t>(count) * sizeof(T) + 255) / 256 * 256;
  };
  place(inputs.spans, limits.max_spans);
  place(inputs.logit_rows, limits.max_logit_rows);
  place(inputs.samples, limits.max_logit_rows);
  place(inputs.tokens, limits.max_rows);
  place(inputs.row_spans, limits.max_rows);
  return at;
}

Runner::Runner(const Lfm2& model, Device& device, CacheStorage& cache, const RunnerLimits& limits)
    : model_(&model),
      device_(&device),
      cache_(&cache),
      limits_(limits),
      stream_(device.make_stream()),
      workspace_(device, model.config(), limits.max_rows, limits.max_logit_rows),
      decode_graphs_(static_cast<std::size_t>(limits.max_spans + 1)),
      forward_graphs_(decode_graphs_.size()) {
  const std::size_t bytes = lay_out(limits, nullptr, there_);
  for (std::size_t i = 0; i < kInFlight; ++i) {
    host_memory_[i] = device.allocate_pinned(bytes);
    lay_out(limits, host_memory_[i].as<std::byte>(), host_[i]);
    steps_[i].done = device.make_event();
  }
  const auto slots = static_cast<std::size_t>(cache.slots().count());
  const auto vocab = static_cast<std::size_t>(model.config().vocab);
  const std::size_t table_bytes =
      slots * static_cast<std::size_t>(limits.max_blocks) * sizeof(std::int32_t);
  table_versions_.resize(slots);
  host_tables_ = device.allocate_pinned(table_bytes);
  if (model.can_sample()) {
    sampled_ = device.allocate(slots * sizeof(std::int32_t));
    history_ = device.allocate(slots * vocab * sizeof(std::uint16_t));
    results_ = device.allocate_pinned(static_cast<std::size_t>(kInFlight * limits.max_logit_rows) *
                                      sizeof(std::int32_t));
    host_masks_ = device.allocate_pinned(static_cast<std::size_t>(kInFlight) * mask_bytes());
  }
  if (device.uses_host_memory()) return;
  device_tables_ = device.allocate(table_bytes);
  device_memory_ = device.allocate(bytes);
  pieces_.reserve(static_cast<std::size_t>(limits.max_spans) + 5);
  lay_out(limits, device_memory_.as<std::byte>(), there_);
  host_logits_ = device.allocate_pinned(static_cast<std::size_t>(limits.max_logit_rows) * vocab *
                                        sizeof(float));
  host_states_ = device.allocate_pinned(static_cast<std::size_t>(
      bytes_of(workspace_.normed.dtype, limits.max_rows * model.config().hidden)));
  if (!model.can_sample()) return;
  host_history_ = device.allocate_pinned(history_.bytes());
  masks_ = device.allocate(mask_bytes());
}

std::size_t Runner::mask_bytes() const {
  return static_cast<std::size_t>(limits_.max_logit_rows *
                                  sample_mask_words(model_->config().vocab)) *
         sizeof(std::uint32_t);
}

// The device's row for the memory's slot holds its block table when the step runs.
void Runner::bring_table(const SequenceMemory& memory) {
  std::uint64_t& version = table_versions_[static_cast<std::size_t>(memory.slot())];
  if (version == memory.table_version()) return;
  version = memory.table_version();
  const std::span<const std::int32_t> blocks = memory.block_ids();
  check(static_cast<std::int64_t>(blocks.size()) <= limits_.max_blocks,
        "a sequence has more blocks than the runner was made for");
  const std::int64_t at = memory.slot() * limits_.max_blocks;
  std::int32_t* row = host_tables_.as<std::int32_t>() + at;
  std::copy(blocks.begin(), blocks.end(), row);
  bring(device_tables_.as<std::int32_t>() + at, row, std::ssize(blocks));
}

template <typename T>
void Runner::bring(T* to, const T* from, std::int64_t count) {
  static_assert(sizeof(T) % sizeof(std::uint32_t) == 0);
  if (device_->uses_host_memory() || count == 0) return;
  pieces_.push_back({reinterpret_cast<std::uint32_t*>(to),
                     reinterpret_cast<const std::uint32_t*>(from),
                     count * static_cast<std::int64_t>(sizeof(T) / sizeof(std::uint32_t))});
}

void Runner::bring_pieces() {
  if (!model_->bring(pieces_, *stream_))
    for (const auto& [to, from, words] : pieces_)
      device_->copy_in(to, from, static_cast<std::size_t>(words) * sizeof(*from), *stream_);
  pieces_.clear();
}

void Runner::set_history(const SequenceMemory& memory, std::span<const std::int32_t> prompt,
                         std::span<const std::int32_t> answer) {
  const std::int64_t vocab = model_->config().vocab;
  const std::int64_t at = memory.slot() * vocab;
  const DeviceBuffer& host = device_->uses_host_memory() ? history_ : host_history_;
  auto* row = host.as<std::uint16_t>() + at;
  std::fill_n(row, vocab, std::uint16_t{0});
  for (const std::int32_t token : prompt) row[token] |= kHistoryInPrompt;
  for (const std::int32_t token : answer) note_token(row, token);
  if (!device_->uses_host_memory())
    device_->copy_in(history_.as<std::uint16_t>() + at, row,
                     static_cast<std::size_t>(vocab) * sizeof(std::uint16_t), *stream_);
}

void Runner::pack(std::span<const StepSpan> spans, Step& step) {
  check(static_cast<std::int64_t>(spans.size()) <= limits_.max_spans,
        "a step has more sequences than the runner was made for");
  pieces_.clear();
  const auto turn = static_cast<std::size_t>(begun_ % kInFlight);
  const Inputs& host = host_[turn];
  const Inputs& there = device_->uses_host_memory() ? host : there_;
  StepInput& input = step.input;
  input = {};
  step.host_logits = step.waits = false;
  step.masks = 0;
  bool samples = false;
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

    std::copy(span.tokens.begin(), span.tokens.end(), host.tokens + row);
    if (span.tokens.back() == kChosenOnDevice) host.tokens[row + count - 1] = -1 - memory.slot();
    bring_table(memory);
    host.spans[i] = {.first_row = static_cast<std::int32_t>(row),
                     .count = static_cast<std::int32_t>(count),
                     .position = static_cast<std::int32_t>(first),
                     .table = memory.slot(),
                     .slot = memory.slot(),
                     .conv_from = replay ? static_cast<std::int32_t>(first) : 0,
                     .writes_kv = replay ? 0 : 1};
    std::fill_n(host.row_spans + row, count, static_cast<std::int32_t>(i));
    input.batch.max_count = std::max(input.batch.max_count, count);
    row += count;
    input.longest = std::max(input.longest, first + count);
    const std::int64_t wanted = span.logits == Logits::None  ? 0
                                : span.logits == Logits::All ? count
                                                             : 1;
    check(logit_count + wanted <= limits_.max_logit_rows, "a step asks for too many logits");
    samples = samples || span.sample;
    input.states = input.states || span.states;
    step.waits = step.waits || (span.sample && span.masked);
    step.host_logits = step.host_logits || (wanted > 0 && (!span.sample || span.scored));
    for (std::int64_t r = row - wanted; r < row; ++r) {
      SampleRow& sample = host.samples[logit_count];
      const bool chooses = span.sample && (!span.scored || r + 1 == row);
      sample = chooses ? *span.sample : SampleRow{};
      sample.slot = chooses ? memory.slot() : -1;
      sample.position = first + r - (row - count) + 1;
      // Of several, which one is next is for the host to say.
      sample.kept = wanted == 1 || span.scored;
      sample.result = static_cast<std::int32_t>(
          static_cast<std::int64_t>(turn) * limits_.max_logit_rows + logit_count);
      host.logit_rows[logit_count++] = static_cast<std::int32_t>(r);
    }
  }
  bring(there.spans, host.spans, std::ssize(spans));
  bring(there.logit_rows, host.logit_rows, logit_count);
  bring(there.samples, host.samples, logit_count);
  bring(there.tokens, host.tokens, row);
  bring(there.row_spans, host.row_spans, row);
  input.tokens = there.tokens;
  input.batch.rows = row;
  input.batch.spans = there.spans;
  input.batch.span_count = static_cast<std::int64_t>(spans.size());
  input.batch.row_spans = there.row_spans;
  input.batch.block_tables = device_->uses_host_memory() ? host_tables_.as<std::int32_t>()
                                                         : device_tables_.as<std::int32_t>();
  input.batch.table_stride = limits_.max_blocks;
  input.logit_rows = there.logit_rows;
  input.logit_count = logit_count;
  input.sampled = sampled_.as<std::int32_t>();
  // On a GPU always, so that steps of one size are one graph.
  if (samples || (can_sample() && !device_->uses_host_memory())) {
    input.samples = there.samples;
    input.history = history_.as<std::uint16_t>();
    input.results = results_.as<std::int32_t>();
    input.masks = device_->uses_host_memory() ? masks_of(turn) : masks_.as<std::uint32_t>();
  }
}

void Runner::launch(const StepInput& input, ForwardObserver* observer) {
  const auto work = [this, input, observer] {
    model_->forward(input, workspace_, *cache_, *stream_, observer);
  };
  const bool decodes = input.batch.max_count == 1 && input.logit_count == input.batch.rows;
  if (!decodes || observer) return work();
  auto& graphs = input.samples ? decode_graphs_ : forward_graphs_;
  Recorded& recorded =
      graphs[static_cast<std::size_t>(input.batch.rows)][model_->runs_whole(input) ? 1 : 0];
  ++recorded.times;
  if (recorded.times == 2) recorded.graph = device_->record(*stream_, work);
  if (recorded.graph)
    recorded.graph->launch(*stream_);
  else
    work();
}

void Runner::begin(std::span<const StepSpan> spans, ForwardObserver* observer) {
  check(begun_ - ended_ < kInFlight, "more steps are begun than can be in flight");
  check(!waits_for_masks(), "a step is begun before the one before it has chosen");
  const auto turn = static_cast<std::size_t>(begun_ % kInFlight);
  Step& step = steps_[turn];
  pack(spans, step);
  ++begun_;
  for (const StepSpan& span : spans)
    if (const std::optional<BlockCopy> copy = span.memory->take_copy())
      cache_->copy_block(copy->from.id(), copy->to, *stream_);
  bring_pieces();
  StepInput input = step.input;
  if (step.waits) input.samples = nullptr;
  if (timer_) timer_->begin();
  launch(input, observer);
  if (step.host_logits && !device_->uses_host_memory())
    device_->copy_out(
        host_logits_.as<void>(), workspace_.logits.row<float>(0),
        static_cast<std::size_t>(step.input.logit_count * model_->config().vocab) * sizeof(float),
        *stream_);
  if (step.input.states && !device_->uses_host_memory()) bring_states(spans);
  if (!step.waits) finish(step);
  for (const StepSpan& span : spans) {
    if (span.kind == SpanKind::Replay)
      span.memory->replayed();
    else
      span.memory->appended(static_cast<std::int64_t>(span.tokens.size()));
  }
}

void Runner::bring_states(std::span<const StepSpan> spans) {
  const MatrixView& states = workspace_.normed;
  const std::int64_t hidden = model_->config().hidden;
  std::int64_t row = 0;
  for (const StepSpan& span : spans) {
    const std::int64_t at = bytes_of(states.dtype, row * hidden);
    row += std::ssize(span.tokens);
    if (span.states)
      device_->copy_out(
          host_states_.as<std::byte>() + at, static_cast<const std::byte*>(states.data) + at,
          static_cast<std::size_t>(bytes_of(states.dtype, row * hidden) - at), *stream_);
  }
}

bool Runner::waits_for_masks() const {
  return begun_ > 0 && steps_[static_cast<std::size_t>((begun_ - 1) % kInFlight)].waits;
}

std::uint32_t* Runner::masks_of(std::size_t turn) const {
  return reinterpret_cast<std::uint32_t*>(host_masks_.as<std::byte>() + turn * mask_bytes());
}

void Runner::set_mask(std::int64_t row, std::span<const std::uint32_t> mask) {
  check(waits_for_masks(), "no step waits for masks");
  const auto turn = static_cast<std::size_t>((begun_ - 1) % kInFlight);
  Step& step = steps_[turn];
  check(row >= 0 && row < step.input.logit_count &&
            std::ssize(mask) == sample_mask_words(model_->config().vocab),
        "a mask for another step");
  std::copy(mask.begin(), mask.end(), masks_of(turn) + step.masks * std::ssize(mask));
  host_[turn].samples[row].mask = step.masks++;
}

void Runner::choose() {
  check(waits_for_masks(), "no step waits for masks");
  const auto turn = static_cast<std::size_t>((begun_ - 1) % kInFlight);
  Step& step = steps_[turn];
  step.waits = false;
  if (!device_->uses_host_memory() && step.masks > 0) {
    const auto words = static_cast<std::size_t>(sample_mask_words(model_->config().vocab));
    device_->copy_in(there_.samples, host_[turn].samples,
                     static_cast<std::size_t>(step.input.logit_count) * sizeof(SampleRow),
                     *stream_);
    device_->copy_in(masks_.as<void>(), masks_of(turn),
                     static_cast<std::size_t>(step.masks) * words * sizeof(std::uint32_t),
                     *stream_);
  }
  model_->choose(step.input, workspace_, *stream_);
  finish(step);
}

void Runner::finish(Step& step) {
  if (timer_) timer_->finish();
  step.done->record(*stream_);
}

void Runner::end() {
  check(ended_ < begun_, "no step is in flight");
  check(ended_ + 1 < begun_ || !waits_for_masks(), "a step ends before it has chosen");
  const Step& step = steps_[static_cast<std::size_t>(ended_ % kInFlight)];
  step.done->wait();
  if (const DecodeSteps* steps = model_->decode_steps())
    if (const std::string failure = steps->failure(); !failure.empty()) throw StuckStep(failure);
  if (timer_) last_time_ = timer_->take();
  ++ended_;
  logit_count_ = step.input.logit_count;
}

void Runner::abandon() {
  device_->synchronize(*stream_);
  ended_ = begun_;
  if (timer_) timer_->restart();
  model_->decode_steps()->tune({.enabled = false});
  for (auto* graphs : {&decode_graphs_, &forward_graphs_})
    for (auto& both : *graphs) both = {};
  for (Step& step : steps_) step.waits = false;
}

void Runner::run(std::span<const StepSpan> spans, ForwardObserver* observer) {
  if (spans.empty()) return;
  begin(spans, observer);
  end();
}

double Runner::time_repeats(int count) {
  check(begun_ > 0 && begun_ == ended_, "no step has run that could be repeated");
  const StepInput& last = steps_[static_cast<std::size_t>((begun_ - 1) % kInFlight)].input;
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < count; ++i) launch(last, nullptr);
  device_->synchronize(*stream_);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / count;
}

std::int32_t Runner::chosen(std::int64_t row) const {
  check(row >= 0 && row < logit_count_ && ended_ > 0, "no such row of logits");
  const auto turn = static_cast<std::int64_t>((ended_ - 1) % kInFlight);
  return results_.as<std::int32_t>()[turn * limits_.max_logit_rows + row];
}

void Runner::state(std::int64_t row, std::span<float> out) const {
  const std::int64_t hidden = model_->config().hidden;
  check(row >= 0 && row < limits_.max_rows && std::ssize(out) == hidden, "no such state");
  const MatrixView& states = workspace_.normed;
  const void* base = device_->uses_host_memory() ? states.data : host_states_.as<void>();
  if (states.dtype == DType::BF16) {
    const BF16* from = static_cast<const BF16*>(base) + row * hidden;
    std::transform(from, from + hidden, out.begin(), [](BF16 x) { return to_float(x); });
  } else {
    const float* from = static_cast<const float*>(base) + row * hidden;
    std::copy(from, from + hidden, out.begin());
  }
}

std::span<float> Runner::logits(std::int64_t row) {
  check(row >= 0 && row < logit_count_, "no such row of logits");
  const std::int64_t vocab = model_->config().vocab;
  float* base =
      device_->uses_host_memory() ? workspace_.logits.row<float>(0) : host_logits_.as<float>();
  return {base + row * vocab, static_cast<std::size_t>(vocab)};
}

}  // namespace millrace
