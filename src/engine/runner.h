// Turns a plan into one step on the device: packs rows, spans and block tables, runs the model,
// and brings the logits to the host.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cache/sequence_memory.h"
#include "model/lfm2.h"
#include "scheduler/scheduler.h"

namespace millrace {

enum class Logits { None, Last, All };

// One sequence's part in a step.
struct StepSpan {
  SequenceMemory* memory;
  // Appended after memory->length(); of a replay, the tokens before it that run again.
  std::span<const std::int32_t> tokens;
  SpanKind kind;
  Logits logits;
};

struct RunnerLimits {
  std::int64_t max_rows = 512;  // tokens a step
  std::int64_t max_logit_rows = 16;
  std::int64_t max_spans = 16;
  std::int64_t max_blocks = 2048;  // of one sequence
};

class Runner {
 public:
  // `model`, `device` and `cache` must outlive the runner.
  Runner(const Lfm2& model, Device& device, CacheStorage& cache, const RunnerLimits& limits);

  // Runs one step and tells each memory what it now holds; room must have been reserved.
  // Nothing is allocated.
  void run(std::span<const StepSpan> spans, ForwardObserver* observer = nullptr);

  // Logits of the step, in order of spans and rows; valid, and the caller's to change, until the
  // next run().
  std::int64_t logit_count() const { return logit_count_; }
  std::span<float> logits(std::int64_t row);

  // Runs the last step's device work `count` times more, from the same inputs, and returns the
  // seconds of one: for benches. The memories' contents are spoilt.
  double time_repeats(int count);

  const RunnerLimits& limits() const { return limits_; }
  // That the steps run on: for observers that copy what they are shown.
  Stream& stream() { return *stream_; }

  // Memory the constructor takes, for `inspect`.
  static std::int64_t bytes_for(const ModelConfig& config, DType activation,
                                const RunnerLimits& limits);

 private:
  // A step's inputs, in one block of memory so that one copy brings all of it to the device.
  struct Inputs {
    SpanView* spans;
    std::int32_t* logit_rows;
    std::int32_t* tokens;
    std::int32_t* row_spans;
  };
  // Lays out the members in `base`; returns the bytes they take.
  static std::size_t lay_out(const RunnerLimits& limits, std::byte* base, Inputs& inputs);
  void bring_table(const SequenceMemory& memory);

  // Fills the host side of the step; returns what the model reads.
  StepInput pack(std::span<const StepSpan> spans);
  void launch(const StepInput& input, ForwardObserver* observer);

  const Lfm2* model_;
  Device* device_;
  CacheStorage* cache_;
  RunnerLimits limits_;
  std::unique_ptr<Stream> stream_;
  Workspace workspace_;
  DeviceBuffer host_memory_;
  DeviceBuffer device_memory_;  // empty where the device uses the host's
  Inputs host_ = {};
  Inputs there_ = {};
  // Block tables, a row for each slot: they change when a sequence gets or gives up blocks, not
  // from step to step.
  DeviceBuffer host_tables_;
  DeviceBuffer device_tables_;
  std::vector<std::uint64_t> table_versions_;  // by slot, of what has been brought
  DeviceBuffer host_logits_;
  std::int64_t logit_count_ = 0;
  StepInput last_;
  // Steps of decodes alone, by the number of sequences: their launches are always the same.
  // Recorded when a size is seen for the second time: the first finds libraries' ways.
  struct Recorded {
    std::int64_t times = 0;
    std::unique_ptr<Graph> graph;
  };
  std::vector<Recorded> decode_graphs_;
};

}  // namespace millrace
