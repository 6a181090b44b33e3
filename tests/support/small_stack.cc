#include "tests/support/small_stack.h"

#include <algorithm>

#include "base/check.h"
#include "checkpoint/safetensors.h"
#include "tests/support/golden_data.h"

namespace millrace::testing {

SmallStack::SmallStack(const std::string& folder, const StackOptions& options) : options_(options) {
  device_ = make_cpu_device(options.threads);
  const Json json = value_or_die(read_json_file(folder + "/config.json"));
  ModelConfig config = value_or_die(parse_model_config(json, folder + "/config.json"));
  std::shared_ptr<const Checkpoint> checkpoint = value_or_die(open_safetensors_folder(folder));
  ModelWeights weights = value_or_die(bind_weights(config, std::move(checkpoint), *device_));
  model_.emplace(value_or_die(Lfm2::make(std::move(config), std::move(weights), *device_,
                                         options.kv_dtype, options.context, options.kernels)));
  const std::int64_t blocks = (options.context + 15) / 16;
  cache_.emplace(*device_, model_->config().cache_geometry(options.kv_dtype, options.draft_columns),
                 static_cast<std::int32_t>(blocks * options.sequences), options.sequences);
  runner_.emplace(*model_, *device_, *cache_,
                  RunnerLimits{.max_rows = options.max_rows,
                               .max_logit_rows = options.max_rows,
                               .max_spans = options.sequences,
                               .max_blocks = blocks});
}

SequenceMemory SmallStack::open() {
  auto memory = SequenceMemory::open(*cache_, options_.context);
  check(memory.has_value(), "the test opens more sequences than it asked for");
  return std::move(*memory);
}

std::vector<float> SmallStack::append(SequenceMemory& memory, std::vector<std::int32_t> tokens,
                                      ForwardObserver* observer) {
  check(memory.reserve(static_cast<std::int64_t>(tokens.size())), "the test's cache is too small");
  const StepSpan span = {&memory, tokens, SpanKind::Prefill, Logits::All};
  runner_->run({&span, 1}, observer);
  std::vector<float> all;
  for (std::int64_t i = 0; i < runner_->logit_count(); ++i) {
    const std::span<float> row = runner_->logits(i);
    all.insert(all.end(), row.begin(), row.end());
  }
  return all;
}

void SmallStack::replay_if_needed(SequenceMemory& memory,
                                  const std::vector<std::int32_t>& history) {
  const std::int64_t count = memory.replay_count();
  if (count == 0) return;
  const std::span<const std::int32_t> tokens = std::span(history)
                                                   .first(static_cast<std::size_t>(memory.length()))
                                                   .last(static_cast<std::size_t>(count));
  const StepSpan span = {&memory, tokens, SpanKind::Replay, Logits::None};
  runner_->run({&span, 1});
}

std::vector<std::int32_t> SmallStack::greedy(SequenceMemory& memory, std::vector<float> logits,
                                             int count) {
  std::vector<std::int32_t> tokens;
  for (int i = 0; i < count; ++i) {
    tokens.push_back(argmax(logits));
    if (i + 1 < count) logits = append(memory, {tokens.back()});
  }
  return tokens;
}

std::int32_t argmax(const std::vector<float>& logits) {
  return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

std::vector<float> last_row(const std::vector<float>& logits, std::int64_t vocab) {
  return {logits.end() - vocab, logits.end()};
}

}  // namespace millrace::testing
