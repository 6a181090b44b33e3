// The engine's thread: takes requests in, has the scheduler plan steps, runs them, and hands tokens
// out. Everything but the inbox and the published numbers belongs to it.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <optional>
#include <random>
#include <thread>
#include <unordered_map>

#include "base/thread_pool.h"
#include "engine/cache_ledger.h"
#include "engine/parts.h"
#include "engine/running.h"

namespace millrace {

// A step that has been begun: who takes part, and what it gives them.
struct StepInFlight {
  struct Part {
    Running* running;
    SequenceLease* lease;
    SpanKind kind;
    std::int64_t computed;          // positions, when it has ended
    std::int64_t logits;            // rows that its tokens are chosen from
    std::int64_t scored = 0;        // rows before them, which judge its prompt
    std::int64_t first_state = -1;  // row of the step, if its states are wanted
    std::int64_t states = 0;        // rows

    std::int64_t rows() const { return scored + logits; }  // of logits
  };
  std::vector<Part> parts;
  bool host_looks = false;  // at logits or states, which the next step overwrites
};

class EngineLoop final : public Engine {
 public:
  EngineLoop(std::unique_ptr<EngineParts> parts, const EngineOptions& options);
  ~EngineLoop() override;

  Result<Answer> submit(Request request, TokenCallback callback) override;
  const LoadedModel& files() const override { return parts_->files; }
  const Lfm2& model() const override { return *parts_->model; }
  std::int64_t context() const override { return parts_->sizes.context; }
  EngineStats stats() const override;
  const DeviceTraits& device() const override { return parts_->device->traits(); }
  const StepTrace* trace() const override { return trace_.get(); }
  Status reset_prefix_cache() override;
  Result<EngineState> inspect() override;
  Result<std::int64_t> save_session(const std::string& path, std::span<const TokenId> tokens,
                                    const std::string& cache_salt) override;
  Result<std::vector<TokenId>> load_session(const std::string& path,
                                            const std::string& cache_salt) override;

 private:
  // Work for the engine's thread that somebody waits for; lives on their stack.
  struct Command {
    std::function<void()> work;
    std::atomic<bool> done = false;
    Command* next = nullptr;
  };

  void loop();
  void wake() {
    signal_.fetch_add(1, std::memory_order_release);
    signal_.notify_one();
  }
  Status on_loop(std::function<void()> work);
  void take_inbox();
  void take_commands();
  void drop_unwanted();
  // Whoever is left without a step to come can be waited for.
  bool is_idle() const { return requests_.empty() && begun_ == ended_; }

  void step();
  bool begin_step();
  void admitted(Running& running, const SequenceMemory& memory);
  StepSpan step_span(Running& running, const PlanSpan& span);
  void choose_step();
  void end_step();
  bool walk_on(Running& running, TokenId token);
  void take_states(const StepInFlight::Part& part);
  // False: the request has failed.
  bool take_scores(const StepInFlight::Part& part, std::int64_t row);
  // The step's tokens for one request, from the row of logits on.
  void take_tokens(const StepInFlight::Part& part, std::int64_t row);
  Result<SampledToken> token_of(Running& running, std::int64_t row, std::int64_t position);
  void unschedule(Running& running);
  void finish(Running& running, FinishReason reason, std::string error = {});
  void fall_back(const std::string& what);
  void restart(Running& running);
  void break_down(const std::string& what);
  void publish_stats();
  RequestState describe(const Running& running) const;

  std::unique_ptr<EngineParts> parts_;
  std::unique_ptr<StepTrace> trace_;
  bool overlap_;
  int draft_tokens_;
  int most_draft_tokens_;
  std::function<std::unique_ptr<Drafter>(std::int64_t)> make_drafter_;
  CacheLedger ledger_;
  Scheduler scheduler_;
  MaskWorkers mask_workers_;
  std::optional<ThreadPool> score_workers_;  // since the first request that needs them
  std::vector<TokenId> ends_of_turn_;
  std::unordered_map<RequestId, std::unique_ptr<Running>> requests_;
  // Have ended, but a step in flight still uses their memory.
  std::vector<std::unique_ptr<Running>> ending_;
  std::vector<StepSpan> spans_;
  std::vector<float> state_;  // of one token
  std::array<StepInFlight, Runner::kInFlight> steps_;
  std::uint64_t begun_ = 0;
  std::uint64_t ended_ = 0;
  RequestId next_id_ = 1;
  std::int64_t timed_ = 0;  // requests with a time limit
  std::uint64_t cancels_seen_ = 0;
  std::mt19937_64 seeds_{std::random_device{}()};

  // Newest first; others push, the loop takes all.
  std::atomic<Answer::State*> inbox_ = nullptr;
  std::atomic<Command*> commands_ = nullptr;
  std::atomic<std::uint32_t> signal_ = 0;
  std::shared_ptr<std::atomic<std::uint64_t>> cancels_;

  EngineStats counted_;  // the loop's own
  struct {
    std::atomic<std::int64_t> running = 0, waiting = 0, kv_tokens = 0, cached_blocks = 0,
                              conv_states = 0, free_blocks = 0;
    std::atomic<std::uint64_t> steps = 0, prompt_tokens = 0, cached_tokens = 0, replayed_tokens = 0,
                               completion_tokens = 0, draft_tokens = 0, accepted_draft_tokens = 0,
                               preemptions = 0;
  } published_;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> broken_ = false;
  std::string failure_;  // written before broken_ is set, never after
  std::thread thread_;
};

}  // namespace millrace
