// Steps of decodes alone, for a few sequences, as one kernel that runs the whole model
// (ops/decode_step): what it needs beyond a model's weights, and its launch.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cache/cache_storage.h"
#include "model/config.h"
#include "model/weights.h"
#include "model/workspace.h"
#include "ops/decode_step/decode_step.h"

namespace millrace {

struct StepInput;

// How eagerly weights are asked for and inputs looked for; for measurements.
struct DecodeTuning {
  bool enabled = true;
  int in_flight = 0;  // tiles; 0: 48 KiB of them
  int slack = 32;     // producers that may be missing when readers begin to look
  int most_tiles = 16;
  double patience = 0;       // seconds that a step may take before it is given up; 0: the device's
  int jam = -1;              // a phase that gets stuck, for tests
  bool bare = false;         // only reads, and computes nothing: see launch_decode_bound()
  bool any_context = false;  // also where op by op is faster
};

class DecodeSteps {
 public:
  // What the choice of a kernel depends on; null where the model's weights do not fit into any.
  static std::optional<DecodeStep::Key> key_of(const ModelConfig& config,
                                               const ModelWeights& weights, DType kv_dtype);

  // Packs the weights: a second copy on the device. `cosines` and `sines` as rope_kv reads them.
  DecodeSteps(const DecodeStep::Key& key, const KernelSpec<DecodeStep>& kernel,
              const ModelConfig& config, const ModelWeights& weights, const float* cosines,
              const float* sines, Device& device);

  bool can_run(const StepInput& input) const;
  // So many sequences: up to which context a step is faster than op by op; 0: it does not fit.
  std::int64_t most_context(std::int64_t rows) const;
  // The same in words.
  std::string use() const;
  // Queues the step, for which can_run() holds. Steps must not overlap: all on one stream, or each
  // behind the one before.
  void launch(const StepInput& input, const Workspace& workspace, const CacheStorage& cache,
              Stream& stream) const;

  // Why a step was given up: none will run any more, and of those since the last good one nothing
  // can be used. Empty if all is well, and once switched off.
  std::string failure() const;

  const DecodePlan& plan() const { return plan_; }
  void tune(const DecodeTuning& tuning) { tuning_ = tuning; }
  // From the next step on each leaves clock stamps: see stamps().
  void keep_stamps();
  // Of the last step: [processors][phases][kDecodeStamps].
  std::vector<std::int64_t> stamps() const;

 private:
  // Do steps of so many sequences fit into a block's shared memory?
  bool fits(std::int64_t rows) const;
  double patience() const;
  std::vector<DecodePhase> device_phases(const ModelWeights& weights) const;
  void pack_weights(const ModelWeights& weights, Stream& stream);

  const KernelSpec<DecodeStep>* kernel_;
  Device* device_;
  DecodeTuning tuning_;
  DecodeStepParams params_ = {};  // all but what changes from step to step
  DecodePlan plan_;
  DecodeSharedLayout layouts_[4];  // for 1, 2, 4 and 8 rows
  DeviceBuffer phases_, ranges_, packed_, exchange_, hints_, state_, alarm_, host_alarm_, stamps_;
};

}  // namespace millrace
