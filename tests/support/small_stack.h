// A model with its caches and runner, driven step by step without an engine.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "device/cpu/cpu_device.h"
#include "engine/runner.h"
#include "model/lfm2.h"

namespace millrace::testing {

struct StackOptions {
  DType kv_dtype = DType::F32;
  int threads = 2;
  std::int64_t context = 256;
  std::int32_t sequences = 6;
  std::int64_t max_rows = 256;
  int draft_columns = 0;
  KernelOverrides kernels;
};

class SmallStack {
 public:
  SmallStack(const std::string& folder, const StackOptions& options);

  SequenceMemory open();
  // Appends tokens in one step; logits of every position, flat [count][vocab].
  std::vector<float> append(SequenceMemory& memory, std::vector<std::int32_t> tokens,
                            ForwardObserver* observer = nullptr);
  // Rebuilds the conv state if the memory asks for it; `history` are the tokens it holds.
  void replay_if_needed(SequenceMemory& memory, const std::vector<std::int32_t>& history);
  // Greedy continuation of what `logits` (of the last position) begins.
  std::vector<std::int32_t> greedy(SequenceMemory& memory, std::vector<float> logits, int count);

  const ModelConfig& config() const { return model_->config(); }
  Runner& runner() { return *runner_; }
  CacheStorage& cache() { return *cache_; }
  const Lfm2& model() const { return *model_; }

 private:
  StackOptions options_;
  std::unique_ptr<Device> device_;
  std::optional<Lfm2> model_;
  std::optional<CacheStorage> cache_;
  std::optional<Runner> runner_;
};

std::int32_t argmax(const std::vector<float>& logits);
// The last `vocab` of them.
std::vector<float> last_row(const std::vector<float>& logits, std::int64_t vocab);

}  // namespace millrace::testing
