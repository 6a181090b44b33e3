#include "tests/support/small_stack.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/json.h"
#include "checkpoint/safetensors.h"
#include "model/workspace.h"
#include "tensor/decode_row.h"
#include "tests/support/golden_data.h"
#include "tests/support/test_device.h"

namespace millrace::testing {

SmallStack::SmallStack(const std::string& folder, const StackOptions& options) : options_(options) {
  device_ =
      options.device == "cpu" ? make_cpu_device(options.threads) : open_test_device(options.device);
  const Json json = value_or_die(read_json_file(folder + "/config.json"));
  ModelConfig config = value_or_die(parse_model_config(json, folder + "/config.json"));
  std::shared_ptr<const Checkpoint> checkpoint = value_or_die(open_safetensors_folder(folder));
  ModelWeights weights = value_or_die(bind_weights(config, std::move(checkpoint), *device_));
  is_narrow_ = activation_dtype(*device_, config) == DType::BF16 ||
               (options.fast && config.dtype == DType::BF16);
  is_exact_ =
      options.device == "cpu" || !is_narrow_ || options.kernels == exact_kernels(options.device);
  KernelOverrides kernels = options.kernels;
  if (!options.fast)
    for (const std::string_view op : {PackedLinear::kName, PackedExperts::kName})
      kernels.emplace(op, "none");
  model_.emplace(value_or_die(Lfm2::make(std::move(config), std::move(weights), *device_,
                                         options.kv_dtype, options.context, kernels)));
  const std::int64_t blocks = (options.context + 15) / 16;
  cache_.emplace(*device_, model_->config().cache_geometry(options.kv_dtype, options.draft_columns),
                 static_cast<std::int32_t>(blocks * options.sequences), options.sequences);
  runner_.emplace(*model_, *device_, *cache_,
                  RunnerLimits{.max_rows = options.max_rows,
                               .max_logit_rows = options.max_rows,
                               .max_spans = options.sequences,
                               .max_blocks = blocks});
}

std::vector<std::byte> SmallStack::download(const void* from, std::int64_t bytes) {
  std::vector<std::byte> host(static_cast<std::size_t>(bytes));
  device_->copy_out(host.data(), from, host.size(), runner_->stream());
  device_->synchronize(runner_->stream());
  return host;
}

void SmallStack::upload(void* to, const std::vector<std::byte>& bytes) {
  device_->copy_in(to, bytes.data(), bytes.size(), runner_->stream());
  device_->synchronize(runner_->stream());
}

std::vector<float> SmallStack::download_rows(const MatrixView& view, std::int64_t rows) {
  const std::int64_t row_bytes = bytes_of(view.dtype, view.stride);
  const std::vector<std::byte> bytes = download(view.data, rows * row_bytes);
  std::vector<float> values(static_cast<std::size_t>(rows * view.columns));
  for (std::int64_t t = 0; t < rows; ++t)
    decode_row(view.dtype, bytes.data() + t * row_bytes, view.columns,
               values.data() + t * view.columns);
  return values;
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

KernelOverrides exact_kernels(const std::string& device) {
  if (device == "cpu") return {};
  // An optional op whose kernel is not found is done without.
  return {{"linear", "gpu"},       {"attention", "gpu"},        {"decode_step", "none"},
          {"norm_linear", "none"}, {"norm_short_conv", "none"}, {"norm_swiglu", "none"},
          {"moe_experts", "gpu"}};
}

EngineOptions exact_engine_options(std::string model) {
  EngineOptions options;
  options.model = std::move(model);
  options.device = test_device_name();
  options.kernels = exact_kernels(options.device);
  return options;
}

double narrow_mean_tolerance(const std::vector<float>& want, int roundings) {
  double squares = 0;
  for (const float value : want) squares += double{value} * value;
  const double size = std::sqrt(squares / static_cast<double>(want.size()));
  return 3 * size * 0x1p-8 / std::sqrt(3.0) * std::sqrt(roundings);
}

int roundings_of(const ModelConfig& config) {
  // A mixer rounds its norm, its gates or q, k and v, and what it hands to the last product; a feed
  // forward likewise. The last norm is one more.
  return 6 * static_cast<int>(config.layers.size()) + 1;
}

double mean_difference(std::span<const float> got, std::span<const float> want) {
  check(got.size() == want.size() && !got.empty(), "values to compare");
  double sum = 0;
  for (std::size_t i = 0; i < got.size(); ++i) sum += std::abs(double{got[i]} - want[i]);
  return sum / static_cast<double>(got.size());
}

std::int32_t argmax(const std::vector<float>& logits) {
  return static_cast<std::int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

std::vector<float> last_row(const std::vector<float>& logits, std::int64_t vocab) {
  return {logits.end() - vocab, logits.end()};
}

}  // namespace millrace::testing
