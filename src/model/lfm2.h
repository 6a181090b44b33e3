// The LFM2 block stack: short convolutions and attention, dense or mixture-of-experts FFNs, as
// the config says (spec 4).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cache/cache_storage.h"
#include "model/config.h"
#include "model/decode_steps.h"
#include "model/weights.h"
#include "model/workspace.h"
#include "ops/attention/attention.h"
#include "ops/bring_inputs/bring_inputs.h"
#include "ops/embedding/embedding.h"
#include "ops/gather_rows/gather_rows.h"
#include "ops/kernel_registry.h"
#include "ops/linear_norm/linear_norm.h"
#include "ops/moe_route/moe_route.h"
#include "ops/norm_linear/norm_linear.h"
#include "ops/norm_short_conv/norm_short_conv.h"
#include "ops/norm_swiglu/norm_swiglu.h"
#include "ops/rms_norm/rms_norm.h"
#include "ops/rope_kv/rope_kv.h"
#include "ops/sample/sample.h"
#include "ops/short_conv/short_conv.h"
#include "ops/silu_mul/silu_mul.h"

namespace millrace {

class KernelTrials;

// One step's input, in device memory; valid until the step is done.
struct StepInput {
  const std::int32_t* tokens = nullptr;  // [batch.rows]; negative: see EmbeddingParams::sampled
  std::int32_t* sampled = nullptr;       // by slot: what earlier steps chose, and this one will
  BatchView batch;
  const std::int32_t* logit_rows = nullptr;  // rows whose logits are wanted, ascending
  std::int64_t logit_count = 0;
  std::int64_t longest = 0;  // tokens of a sequence after the step, at most
  bool states = false;       // leave all rows after the final norm in Workspace::normed
  // How the rows of logits choose their tokens, if the step shall do that: see SampleParams.
  const SampleRow* samples = nullptr;  // [logit_count]
  std::uint16_t* history = nullptr;    // [slots][vocab]
  const std::uint32_t* masks = nullptr;
  std::int32_t* results = nullptr;
};

// Sees intermediate values as they are made; for tests and debugging.
class ForwardObserver {
 public:
  virtual ~ForwardObserver() = default;
  // The residual stream after "embed", after the "mixer" and after the "ffn" of a layer, and the
  // rows after "final_norm".
  virtual void on_stage(std::string_view stage, int layer, const MatrixView& values,
                        std::int64_t rows) = 0;
  virtual void on_experts(int layer, const std::int32_t* chosen, const float* weights,
                          std::int64_t rows) = 0;
};

// How one op's kernel was chosen, for `millrace kernels`.
struct KernelReport {
  std::string op;
  std::string key;
  int uses = 0;  // places in the model
  std::vector<KernelVerdict> verdicts;
  std::string note;  // when it is used
};

class Lfm2 {
 public:
  // Chooses a kernel for every place, those that pass their `trials` where there are any.
  // max_position bounds the positions that will be seen.
  static Result<Lfm2> make(ModelConfig config, ModelWeights weights, Device& device, DType kv_dtype,
                           std::int64_t max_position, const KernelOverrides& overrides,
                           KernelTrials* trials = nullptr);

  // The choice alone, for a device that need not be here.
  static Result<std::vector<KernelReport>> explain(ModelConfig config, ModelWeights weights,
                                                   Device& device, DType kv_dtype,
                                                   const KernelOverrides& overrides);

  const ModelConfig& config() const { return config_; }
  const ModelWeights& weights() const { return weights_; }
  const std::vector<KernelReport>& kernels() const { return reports_; }
  // Null where steps run op by op.
  DecodeSteps* decode_steps() const { return decode_steps_.get(); }

  // Does forward() run that step as one kernel?
  bool runs_whole(const StepInput& input) const {
    return decode_steps_ && decode_steps_->can_run(input);
  }

  // Can a step choose tokens itself?
  bool can_sample() const { return sample_ != nullptr; }

  // Queues what brings these pieces, by one launch for as many as fit; false: it cannot. The pieces
  // are as BringInputsParams says.
  bool bring(std::span<const BringInputsParams::Piece> pieces, Stream& stream) const;

  // Queues one step: reads and extends the cache, leaves logits [logit_count, vocab] in the
  // workspace, and chooses tokens if the input says how. Never allocates, blocks or fails.
  void forward(const StepInput& input, Workspace& workspace, const CacheStorage& cache,
               Stream& stream, ForwardObserver* observer = nullptr) const;
  // The last part of a step that was run without `samples`: chooses from the logits it left in the
  // workspace.
  void choose(const StepInput& input, Workspace& workspace, Stream& stream) const;

  // What forward() has to read and compute for a step of `rows` tokens that ends in
  // `logit_rows` rows of logits, each token attending to `context` positions: for benches.
  struct Work {
    double weight_bytes, kv_bytes, flops;
  };
  Work work(std::int64_t rows, std::int64_t logit_rows, double context, DType kv_dtype) const;

 private:
  Lfm2() = default;
  Status choose_kernels(Device& device, DType kv_dtype, const KernelOverrides& overrides,
                        KernelTrials* trials);
  // Where the rows are that give logits, behind all layers.
  struct Ends {
    MatrixView residual;
    const std::int32_t* rows;  // of `residual`; null: its first ones
  };
  // The embedding and all layers.
  Ends blocks(const StepInput& input, Workspace& workspace, const CacheStorage& cache,
              Stream& stream, ForwardObserver* observer) const;
  void head(const Ends& ends, std::int64_t count, Workspace& workspace, Stream& stream,
            ForwardObserver* observer) const;
  void states(const StepInput& input, Workspace& workspace, Stream& stream) const;
  void find_fused(Device& device, const KernelOverrides& overrides, KernelTrials* trials);
  void find_batch(Device& device, const KernelOverrides& overrides, KernelTrials* trials);
  // Null where steps run op by op.
  const KernelSpec<DecodeStep>* choose_decode_step(Device& device, DType kv_dtype,
                                                   const KernelOverrides& overrides);

  ModelConfig config_;
  ModelWeights weights_;
  std::vector<DeviceBuffer> tables_;
  const float* cosines_ = nullptr;
  const float* sines_ = nullptr;
  const KernelSpec<Embedding>* embedding_ = nullptr;
  const KernelSpec<BringInputs>* bring_inputs_ = nullptr;  // null: by the device's copies
  const KernelSpec<GatherRows>* gather_rows_ = nullptr;
  const KernelSpec<RmsNorm>* rms_norm_ = nullptr;
  const KernelSpec<ShortConv>* short_conv_ = nullptr;
  const KernelSpec<RopeKv>* rope_kv_ = nullptr;
  const KernelSpec<Attention>* attention_ = nullptr;
  const KernelSpec<SiluMul>* silu_mul_ = nullptr;
  const KernelSpec<MoeRoute>* moe_route_ = nullptr;
  const KernelSpec<Sample>* sample_ = nullptr;  // null where the device has none for the vocabulary
  struct {  // null where the device has none; for steps of few rows
    const KernelSpec<NormShortConv>* short_conv = nullptr;
    const KernelSpec<NormLinear>* qkv = nullptr;
    const KernelSpec<NormSwiglu>* swiglu = nullptr;
    const KernelSpec<NormSwiglu>* batch_swiglu = nullptr;  // up to NormSwiglu::kBatchRows
    const KernelSpec<NormLinear>* head = nullptr;
  } fused_;
  // For batches of decodes: each product begins the norm of the next block. All of what a layer
  // needs, or none.
  struct {
    const KernelSpec<NormLinear>* in_proj = nullptr;
    const KernelSpec<NormLinear>* qkv = nullptr;
    const KernelSpec<LinearNorm>* conv_out = nullptr;
    const KernelSpec<LinearNorm>* attention_out = nullptr;
    const KernelSpec<LinearNorm>* down = nullptr;
  } batch_;
  std::unique_ptr<DecodeSteps> decode_steps_;  // a whole step of decodes in one kernel
  std::vector<KernelReport> reports_;
};

}  // namespace millrace
