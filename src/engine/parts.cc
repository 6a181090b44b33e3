#include "engine/parts.h"

#include <algorithm>
#include <new>

#include "device/described_device.h"
#include "device/open_device.h"
#include "ops/kernel_trials.h"

namespace millrace {

EngineOptions with_device_defaults(EngineOptions options, const DeviceTraits& device,
                                   const ModelConfig& config, std::int64_t weight_bytes) {
  const bool gpu = device.backend == Backend::Cuda || device.backend == Backend::Hip;
  if (options.max_sequences == 0) options.max_sequences = gpu ? 256 : 8;
  if (options.step_budget == 0) options.step_budget = gpu ? 8192 : 512;
  if (options.cache_tokens != 0 || !gpu) return options;
  const Result<EngineSizes> sizes = engine_sizes(config, options);
  if (!sizes) return options;  // the same error comes again where it can be returned
  const DType activation = config.dtype == DType::F32 ? DType::F32 : DType::BF16;
  MemoryPlan plan = plan_memory(config, weight_bytes, *sizes, activation);
  plan.kv = 0;
  // A tenth stays free for libraries and fragmentation.
  const std::int64_t left = device.memory_bytes / 10 * 9 - plan.total() - options.memory_taken;
  const CacheGeometry geometry = config.cache_geometry(sizes->kv_dtype, sizes->draft_columns);
  const std::int64_t per_token = std::max<std::int64_t>(1, geometry.kv_bytes_per_token());
  options.cache_tokens = std::clamp<std::int64_t>(left / per_token, sizes->context,
                                                  sizes->context * options.max_sequences);
  return options;
}

Result<EngineSizes> engine_sizes(const ModelConfig& config, const EngineOptions& options) {
  constexpr std::int64_t kDefaultContext = 32768;
  constexpr std::int64_t kMostTokens = std::int64_t{1} << 30;
  const auto in_range = [](std::string_view name, std::int64_t value, std::int64_t low,
                           std::int64_t high) -> Status {
    if (value >= low && value <= high) return {};
    return fail(ErrorCode::InvalidArgument, "{}: found {}, expected {} to {}", name, value, low,
                high);
  };
  for (const Status& status :
       {in_range("context", options.context, 0, config.max_position),
        in_range("max_sequences", options.max_sequences, 0, 4096),
        in_range("cache_tokens", options.cache_tokens, 0, kMostTokens),
        in_range("step_budget", options.step_budget, 0, 65536),
        in_range("most_draft_tokens", options.most_draft_tokens, 0, 64),
        in_range("draft_tokens", options.draft_tokens, 0, options.most_draft_tokens),
        in_range("threads", options.threads, 0, 1024)})
    if (!status) return tl::unexpected(status.error());

  const std::int64_t max_sequences = options.max_sequences > 0 ? options.max_sequences : 8;
  const std::int64_t step_budget = options.step_budget > 0 ? options.step_budget : 512;
  EngineSizes sizes;
  sizes.kv_dtype = options.kv_dtype.value_or(config.dtype == DType::F32 ? DType::F32 : DType::BF16);
  if (sizes.kv_dtype != DType::F32 && sizes.kv_dtype != DType::BF16 &&
      sizes.kv_dtype != DType::F8_E4M3)
    return fail(ErrorCode::InvalidArgument, "kv_dtype: found {}, expected F32, BF16 or F8_E4M3",
                to_string(sizes.kv_dtype));
  sizes.context =
      options.context > 0 ? options.context : std::min(config.max_position, kDefaultContext);
  sizes.draft_columns = options.most_draft_tokens;
  const CacheGeometry geometry = config.cache_geometry(sizes.kv_dtype, sizes.draft_columns);
  const std::int64_t block = geometry.block_tokens;
  const std::int64_t tokens = options.cache_tokens > 0
                                  ? options.cache_tokens
                                  : sizes.context * std::min<std::int64_t>(2, max_sequences);
  const std::int64_t per_sequence = (sizes.context + block - 1) / block;
  sizes.blocks = static_cast<std::int32_t>(std::max((tokens + block - 1) / block, per_sequence));
  // Conv states of sequences that ended are kept in half as many slots again.
  const std::int64_t kept = options.keep_prefixes ? (max_sequences + 1) / 2 : 0;
  sizes.slots = static_cast<std::int32_t>(max_sequences + kept);
  // A step takes a token of everybody, and a replay, which runs in one.
  sizes.limits.max_rows = std::max(step_budget, max_sequences + geometry.replay_tokens());
  sizes.limits.max_spans = max_sequences;
  // Guesses are checked in rows of their own; prompts whose log probabilities are wanted use them
  // too, chunk by chunk.
  constexpr std::int64_t kMostSpareRows = 64, kLeastSpareRows = 16;
  sizes.limits.max_logit_rows =
      max_sequences +
      std::clamp(max_sequences * options.most_draft_tokens, kLeastSpareRows, kMostSpareRows);
  sizes.limits.max_blocks = per_sequence;
  return sizes;
}

MemoryPlan plan_memory(const ModelConfig& config, std::int64_t weight_bytes,
                       const EngineSizes& sizes, DType activation) {
  const CacheGeometry geometry = config.cache_geometry(sizes.kv_dtype, sizes.draft_columns);
  MemoryPlan plan;
  plan.weights = weight_bytes;
  plan.kv = std::int64_t{sizes.blocks} * geometry.block_tokens * geometry.kv_bytes_per_token();
  plan.conv = std::int64_t{sizes.slots} * geometry.conv_bytes_per_sequence();
  plan.workspace = Runner::bytes_for(config, activation, sizes.limits);
  plan.tables = bytes_of(DType::F32, sizes.context * config.head_dim);
  return plan;
}

Result<std::unique_ptr<EngineParts>> make_parts(LoadedModel files, const EngineOptions& given) {
  auto parts = std::make_unique<EngineParts>();
  // Wrong options are told before a device is opened.
  MILLRACE_TRY(engine_sizes(files.config, given));
  try {
    parts->device = MILLRACE_TRY(open_device(given.device, given.threads));
    const EngineOptions options =
        with_device_defaults(given, parts->device->traits(), files.config,
                             MILLRACE_TRY(text_weight_bytes(files, given.load)));
    parts->sizes = MILLRACE_TRY(engine_sizes(files.config, options));
    const EngineSizes& sizes = parts->sizes;
    ModelWeights weights =
        MILLRACE_TRY(bind_weights(files.config, files.checkpoint, *parts->device));
    std::optional<KernelTrials> trials;
    const bool emulated = options.device.starts_with("emulated");
    // Of CPUs only those with AMX, whose kernels have not met a processor yet.
    const CpuFeatures& cpu = parts->device->traits().cpu;
    const bool is_tested =
        parts->device->uses_host_memory() ? cpu.amx_int8 || cpu.amx_bf16 : !emulated;
    if (options.self_test.value_or(is_tested))
      trials.emplace(*parts->device, activation_dtype(*parts->device, files.config));
    KernelOverrides kernels = options.kernels;
    if (options.accuracy == Accuracy::Exact)  // do without, unless one is asked for by name
      for (const std::string_view op : {PackedLinear::kName, PackedExperts::kName})
        kernels.emplace(op, "none");
    parts->model.emplace(
        MILLRACE_TRY(Lfm2::make(files.config, std::move(weights), *parts->device, sizes.kv_dtype,
                                sizes.context, kernels, trials ? &*trials : nullptr)));
    if (trials)
      for (const std::string& failure : trials->failures())
        fmt::print(stderr, "millrace: warning: a kernel is not used: {}\n", failure);
    parts->cache.emplace(*parts->device,
                         files.config.cache_geometry(sizes.kv_dtype, sizes.draft_columns),
                         sizes.blocks, sizes.slots);
    parts->runner.emplace(*parts->model, *parts->device, *parts->cache, sizes.limits);
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::TooLarge,
                "{}: not enough memory for caches and workspace; a smaller --context helps",
                files.path);
  } catch (const DeviceError& error) {
    return fail(ErrorCode::Unavailable, "{}: {}", given.device, error.what());
  }
  parts->files = std::move(files);
  return parts;
}

Result<std::vector<KernelReport>> explain_kernels(LoadedModel files, const EngineOptions& options,
                                                  const DeviceTraits& traits) {
  const EngineSizes sizes = MILLRACE_TRY(engine_sizes(files.config, options));
  const std::unique_ptr<Device> device = make_described_device(traits);
  ModelWeights weights = MILLRACE_TRY(bind_weights(files.config, files.checkpoint, *device));
  return Lfm2::explain(std::move(files.config), std::move(weights), *device, sizes.kv_dtype,
                       options.kernels);
}

}  // namespace millrace
