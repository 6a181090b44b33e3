// Turns a plan into one step on the device: packs rows, spans and block tables, runs the model,
// and brings the logits to the host.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "cache/sequence_memory.h"
#include "engine/step_timer.h"
#include "model/lfm2.h"
#include "scheduler/scheduler.h"

namespace millrace {

enum class Logits { None, Last, All };

// A step was given up by the device, which is otherwise well: see Runner::abandon().
class StuckStep : public DeviceError {
 public:
  using DeviceError::DeviceError;
};

// In StepSpan::tokens: the token that an earlier step chose for the sequence, on the device.
constexpr std::int32_t kChosenOnDevice = -1;

// One sequence's part in a step.
struct StepSpan {
  SequenceMemory* memory;
  // Appended after memory->length(); of a replay, the tokens before it that run again.
  std::span<const std::int32_t> tokens;
  SpanKind kind;
  Logits logits;
  // The step chooses the token after each row of logits this way, and the host gets the tokens
  // instead of the logits. Slot, position and result are filled in here. Penalties count what was
  // chosen in earlier steps only: with them, and Logits::All, the host must choose.
  const SampleRow* sample = nullptr;
  // Which tokens may be chosen is said later, before Runner::choose().
  bool masked = false;
  bool states = false;  // the host gets what its rows are after the final norm: Runner::state()
  // With Logits::All of a prompt: the host gets the logits, and with `sample` the step chooses a
  // token behind the last row alone.
  bool scored = false;
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

  // Queues one step and tells each memory what it will hold; room must have been reserved. At most
  // kInFlight steps may be begun and not ended. Nothing is allocated, nothing waited for; on a CPU
  // the step is done on return.
  static constexpr int kInFlight = 2;
  void begin(std::span<const StepSpan> spans, ForwardObserver* observer = nullptr);
  // A step with masked spans has chosen nothing yet: that waits for choose(), before which an older
  // step may be ended, its tokens looked at and masks made from them, while this one's forward
  // pass runs. set_mask() is called for rows of logits of the step begun last, in ascending
  // order; a row without one may choose any token.
  bool waits_for_masks() const;
  void set_mask(std::int64_t row, std::span<const std::uint32_t> mask);
  void choose();
  // Waits for the oldest step that was begun and not ended. Throws StuckStep, and the step counts
  // as not ended, if it was given up.
  void end();
  // After a StuckStep: forgets the steps in flight, of which nothing can be used, and runs the
  // following without the kernel that got stuck.
  void abandon();
  // Both, for those who have one step at a time.
  void run(std::span<const StepSpan> spans, ForwardObserver* observer = nullptr);

  // Of the step that ended last, in order of spans and rows. Either the logits are here, the
  // caller's to change, until another step is begun ...
  std::int64_t logit_count() const { return logit_count_; }
  std::span<float> logits(std::int64_t row);
  // ... or, where the step chose, the token: -1 if the logits hold a NaN. Until the next end().
  std::int32_t chosen(std::int64_t row) const;
  // Of the step that ended last, until another is begun: a row of a span that wanted states.
  // `out` is [hidden].
  void state(std::int64_t row, std::span<float> out) const;

  // Can steps choose tokens on this device?
  bool can_sample() const { return model_->can_sample(); }
  // What `memory`'s sequence has seen, for penalties; before its first step that uses them.
  void set_history(const SequenceMemory& memory, std::span<const std::int32_t> prompt,
                   std::span<const std::int32_t> answer);

  // From here on the device's times of steps are kept, where it has such.
  void keep_times() { timer_ = StepTimer::make(*device_, *stream_); }
  // Of the step that ended last: from where its forward pass was queued to its end.
  std::optional<StepTimer::Time> last_time() const { return last_time_; }

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
  // A step's inputs, in one block of memory.
  struct Inputs {
    SpanView* spans;
    std::int32_t* logit_rows;
    SampleRow* samples;  // by row of logits
    std::int32_t* tokens;
    std::int32_t* row_spans;
  };
  // Lays out the members in `base`; returns the bytes they take.
  static std::size_t lay_out(const RunnerLimits& limits, std::byte* base, Inputs& inputs);
  std::size_t mask_bytes() const;  // of one step
  std::uint32_t* masks_of(std::size_t turn) const;
  void bring_table(const SequenceMemory& memory);
  // Notes memory of the host that the device needs for the step being begun, and where.
  template <typename T>
  void bring(T* to, const T* from, std::int64_t count);
  void bring_pieces();

  // A step that has been begun.
  struct Step {
    StepInput input;
    bool host_logits = false;  // somebody wants to see them
    bool waits = false;        // for choose()
    std::int32_t masks = 0;    // set by now
    std::unique_ptr<Event> done;
  };
  // Fills the host side of the step.
  void pack(std::span<const StepSpan> spans, Step& step);
  void launch(const StepInput& input, ForwardObserver* observer);
  void finish(Step& step);
  void bring_states(std::span<const StepSpan> spans);

  const Lfm2* model_;
  Device* device_;
  CacheStorage* cache_;
  RunnerLimits limits_;
  std::unique_ptr<Stream> stream_;
  Workspace workspace_;
  // Steps in flight use them in turn; the device has one set, as it takes one step at a time.
  std::array<Step, kInFlight> steps_;
  std::array<DeviceBuffer, kInFlight> host_memory_;
  std::array<Inputs, kInFlight> host_ = {};
  DeviceBuffer device_memory_;  // empty where the device uses the host's
  Inputs there_ = {};
  std::vector<BringInputsParams::Piece> pieces_;  // not brought yet; room for the most there can be
  std::uint64_t begun_ = 0;
  std::uint64_t ended_ = 0;
  std::unique_ptr<StepTimer> timer_;
  std::optional<StepTimer::Time> last_time_;
  // Block tables, a row for each slot: they change when a sequence gets or gives up blocks, not
  // from step to step.
  DeviceBuffer host_tables_;
  DeviceBuffer device_tables_;
  std::vector<std::uint64_t> table_versions_;  // by slot, of what has been brought
  DeviceBuffer host_logits_;
  DeviceBuffer host_states_;  // empty where the device uses the host's memory
  std::int64_t logit_count_ = 0;
  // Sampling, by slot: tokens chosen last, and what sequences have seen.
  DeviceBuffer sampled_;
  DeviceBuffer history_;
  DeviceBuffer host_history_;  // empty where the device uses the host's memory
  DeviceBuffer results_;       // pinned; written by the step, a part for each in flight
  DeviceBuffer host_masks_;    // pinned, a part for each in flight
  DeviceBuffer masks_;         // empty where the device uses the host's memory
  // Steps of decodes alone, by the number of sequences, op by op and as one kernel: their launches
  // are always the same.
  // Recorded when a size is seen for the second time: the first finds libraries' ways.
  struct Recorded {
    std::int64_t times = 0;
    std::unique_ptr<Graph> graph;
  };
  using RecordedSteps = std::vector<std::array<Recorded, 2>>;
  RecordedSteps decode_graphs_;
  RecordedSteps forward_graphs_;  // without the choice of tokens
};

}  // namespace millrace
