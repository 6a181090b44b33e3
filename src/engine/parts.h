// The machinery under an engine, without its thread: what benches, tests and `millrace logits`
// drive directly.
#pragma once

#include <memory>
#include <optional>

#include "cache/cache_storage.h"
#include "device/device.h"
#include "engine/engine.h"
#include "engine/runner.h"
#include "model/lfm2.h"

namespace millrace {

// Sizes that follow from a config and options, before anything is loaded.
struct EngineSizes {
  DType kv_dtype = DType::BF16;
  std::int64_t context = 0;  // most tokens of a sequence
  std::int32_t blocks = 0;
  std::int32_t slots = 0;
  int draft_columns = 0;
  RunnerLimits limits;
};
// Fills in the options whose default depends on the device.
EngineOptions with_device_defaults(EngineOptions options, const DeviceTraits& device,
                                   const ModelConfig& config, std::int64_t weight_bytes);

Result<EngineSizes> engine_sizes(const ModelConfig& config, const EngineOptions& options);

// What the process will hold, by use. Counted from the same code that allocates.
struct MemoryPlan {
  std::int64_t weights = 0;  // mapped files, or dummy weights
  std::int64_t kv = 0;       // when all of it is in use
  std::int64_t conv = 0;
  std::int64_t workspace = 0;
  std::int64_t tables = 0;  // rope
  std::int64_t total() const { return weights + kv + conv + workspace + tables; }
};
MemoryPlan plan_memory(const ModelConfig& config, std::int64_t weight_bytes,
                       const EngineSizes& sizes, DType activation = DType::F32);

// Members in order of dependence: later ones refer to earlier ones.
struct EngineParts {
  LoadedModel files;
  EngineSizes sizes;
  std::unique_ptr<Device> device;
  std::optional<Lfm2> model;
  std::optional<CacheStorage> cache;
  std::optional<Runner> runner;
};

// Loads nothing itself: binds `files`, chooses kernels, allocates caches and workspace.
Result<std::unique_ptr<EngineParts>> make_parts(LoadedModel files, const EngineOptions& options);

// The kernels that make_parts() would choose on a device that need not be here.
Result<std::vector<KernelReport>> explain_kernels(LoadedModel files, const EngineOptions& options,
                                                  const DeviceTraits& traits);

}  // namespace millrace
