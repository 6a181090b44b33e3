// A model with its caches and runner, driven step by step without an engine.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "device/cpu/cpu_device.h"
#include "engine/engine.h"
#include "engine/runner.h"
#include "model/lfm2.h"

namespace millrace::testing {

struct StackOptions {
  std::string device = "cpu";
  DType kv_dtype = DType::F32;
  int threads = 2;
  std::int64_t context = 256;
  std::int32_t sequences = 6;
  std::int64_t max_rows = 256;
  int draft_columns = 0;
  KernelOverrides kernels;
  bool fast = false;  // EngineOptions::accuracy
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

  // Rows are computed alike whatever shares their step, bit for bit: always but where a GPU's
  // activations are BF16 and kernels are not exact_kernels(). Then small steps round at other
  // places than large ones, and libraries add in an order of their own.
  bool is_exact() const { return is_exact_; }
  bool is_narrow() const { return is_narrow_; }

  // What the device's memory holds, and back.
  std::vector<std::byte> download(const void* from, std::int64_t bytes);
  void upload(void* to, const std::vector<std::byte>& bytes);
  // Rows of activations or of the residual stream, widened.
  std::vector<float> download_rows(const MatrixView& view, std::int64_t rows);

 private:
  StackOptions options_;
  std::unique_ptr<Device> device_;
  bool is_exact_ = true;
  bool is_narrow_ = false;  // activations are BF16, at least where they are multiplied
  std::optional<Lfm2> model_;
  std::optional<CacheStorage> cache_;
  std::optional<Runner> runner_;
};

std::int32_t argmax(const std::vector<float>& logits);
// Overrides after which every device computes rows alike whatever shares their step, bit for bit:
// the portable kernels of the ops whose faster ones do not promise it, and no fused ops.
KernelOverrides exact_kernels(const std::string& device);
// For an engine on the device under test with those: what is said twice must be the same.
EngineOptions exact_engine_options(std::string model);

// How far logits or hidden values may be from exact ones on average where activations are BF16:
// each of `roundings` on the way adds an error of 2^-8 at most, 2^-8 / sqrt(3) on average of the
// squares, to values of the size of `want`; they add up like random steps. Three times that.
double narrow_mean_tolerance(const std::vector<float>& want, int roundings);
// Roundings on the way to the logits: of the norm, the products and the mixing of each block.
int roundings_of(const ModelConfig& config);
double mean_difference(std::span<const float> got, std::span<const float> want);

// The last `vocab` of them.
std::vector<float> last_row(const std::vector<float>& logits, std::int64_t vocab);

}  // namespace millrace::testing
