#include "engine/parts.h"

#include <algorithm>
#include <new>

#include "device/open_device.h"

namespace millrace {

Result<EngineSizes> engine_sizes(const ModelConfig& config, const EngineOptions& options) {
  constexpr std::int64_t kDefaultContext = 32768;
  constexpr std::int64_t kMostTokens = std::int64_t{1} << 30;
  const auto in_range = [](std::string_view name, std::int64_t value, std::int64_t low,
                           std::int64_t high) -> Status {
    if (value >= low && value <= high) return {};
    return fail(ErrorCode::InvalidArgument, "{}: found {}, expected {} to {}", name, value, low,
                high);
  };
  for (const Status& status : {in_range("context", options.context, 0, config.max_position),
                               in_range("max_sequences", options.max_sequences, 1, 4096),
                               in_range("cache_tokens", options.cache_tokens, 0, kMostTokens),
                               in_range("step_budget", options.step_budget, 1, 65536),
                               in_range("threads", options.threads, 0, 1024)})
    if (!status) return tl::unexpected(status.error());

  EngineSizes sizes;
  sizes.kv_dtype = options.kv_dtype.value_or(config.dtype == DType::F32 ? DType::F32 : DType::BF16);
  if (sizes.kv_dtype != DType::F32 && sizes.kv_dtype != DType::BF16)
    return fail(ErrorCode::InvalidArgument, "kv_dtype: found {}, expected F32 or BF16",
                to_string(sizes.kv_dtype));
  sizes.context =
      options.context > 0 ? options.context : std::min(config.max_position, kDefaultContext);
  const CacheGeometry geometry = config.cache_geometry(sizes.kv_dtype, sizes.draft_columns);
  const std::int64_t block = geometry.block_tokens;
  const std::int64_t tokens =
      options.cache_tokens > 0 ? options.cache_tokens
                               : sizes.context * std::min<std::int64_t>(2, options.max_sequences);
  const std::int64_t per_sequence = (sizes.context + block - 1) / block;
  sizes.blocks = static_cast<std::int32_t>(std::max((tokens + block - 1) / block, per_sequence));
  sizes.slots = static_cast<std::int32_t>(options.max_sequences);
  // A replay runs in one step.
  sizes.limits.max_rows = std::max(options.step_budget, geometry.replay_tokens());
  sizes.limits.max_spans = options.max_sequences;
  sizes.limits.max_logit_rows = options.max_sequences;
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

Result<std::unique_ptr<EngineParts>> make_parts(LoadedModel files, const EngineOptions& options) {
  auto parts = std::make_unique<EngineParts>();
  parts->sizes = MILLRACE_TRY(engine_sizes(files.config, options));
  const EngineSizes& sizes = parts->sizes;
  try {
    parts->device = MILLRACE_TRY(open_device(options.device, options.threads));
    ModelWeights weights =
        MILLRACE_TRY(bind_weights(files.config, files.checkpoint, *parts->device));
    parts->model.emplace(MILLRACE_TRY(Lfm2::make(files.config, std::move(weights), *parts->device,
                                                 sizes.kv_dtype, sizes.context, options.kernels)));
    parts->cache.emplace(*parts->device,
                         files.config.cache_geometry(sizes.kv_dtype, sizes.draft_columns),
                         sizes.blocks, sizes.slots);
    parts->runner.emplace(*parts->model, *parts->device, *parts->cache, sizes.limits);
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::TooLarge,
                "{}: not enough memory for caches and workspace; a smaller --context helps",
                files.path);
  } catch (const DeviceError& error) {
    return fail(ErrorCode::Unavailable, "{}: {}", options.device, error.what());
  }
  parts->files = std::move(files);
  return parts;
}

}  // namespace millrace
