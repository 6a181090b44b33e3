// The public API: open an engine, submit requests with a token callback, cancel, read usage.
//
//   auto engine = millrace::Engine::open({.model = "models/nano"});
//   if (!engine) { puts(engine.error().message.c_str()); return 1; }
//   millrace::Request request;
//   request.prompt = *(*engine)->chat_prompt("What is 2 plus 3?");
//   auto answer = (*engine)->submit(std::move(request), [](const millrace::TokenEvent& event) {
//     fputs(event.text.c_str(), stdout);
//   });
//   answer->wait();
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "constraint/constraint.h"
#include "engine/draft.h"
#include "engine/load.h"
#include "engine/pooling.h"
#include "engine/prompt_logprobs.h"
#include "engine/sampling.h"
#include "engine/step_trace.h"
#include "model/lfm2.h"
#include "ops/kernel_registry.h"
#include "scheduler/scheduler.h"

namespace millrace {

enum class Accuracy { Fast, Exact };

struct EngineOptions {
  std::string model;  // a folder in Hugging Face layout, a .gguf file
  LoadOptions load;
  std::string device = "auto";     // see device/open_device.h
  int threads = 0;                 // 0: one per core this process may use
  std::int64_t context = 0;        // most tokens of a sequence; 0: min(model's own, 32768)
  std::int64_t max_sequences = 0;  // running and kept ones together; 0: 8, on a GPU 256
  std::int64_t cache_tokens = 0;   // KV room for all sequences; 0: context of two of them, on a
                                   // GPU what its memory leaves, less memory_taken
  std::int64_t memory_taken = 0;   // bytes of the device's that others have or will have
  std::int64_t step_budget = 0;    // most tokens of one step; 0: 512, on a GPU 8192
  std::optional<DType> kv_dtype;   // F32 for F32 models, else BF16; or F8_E4M3
  bool keep_prefixes = true;       // reuse what other requests have computed
  // Guesses that a step can check for one request; each takes a column of conv state, so that wrong
  // ones are undone for free. Requests choose up to as many.
  int most_draft_tokens = 7;
  int draft_tokens = 0;  // where a request does not say
  // A smaller model with the same tokens, whose likeliest ones are the guesses: as `model`. Else
  // guesses are looked up in the request's text.
  std::string draft_model;
  // Makes a request's drafter, instead of either.
  std::function<std::unique_ptr<Drafter>(std::int64_t most_tokens)> drafter;
  SchedulerPolicy policy;
  std::size_t trace_spans = 0;       // of the step thread's timeline that are kept; 0: none
  bool poison_freed_memory = false;  // for tests: see CacheStorage::poison_freed
  // Plan and queue a step while the one before it runs. Unset: where the device works by itself.
  std::optional<bool> overlap;
  // Fast: a CPU rounds activations to what the weights' dot products take (BF16, or eight bits
  // with a scale for 32 of them). Exact: it computes with floats throughout.
  Accuracy accuracy = Accuracy::Fast;
  KernelOverrides kernels;
  // Every kernel that is chosen first runs against its reference: see ops/kernel_trials.h. Unset:
  // on GPUs and on CPUs with AMX.
  std::optional<bool> self_test;
};

enum class FinishReason { Stop, Length, Cancelled, TimedOut, Failed };
std::string_view to_string(FinishReason reason);

struct Request {
  std::vector<TokenId> prompt;
  std::int64_t max_tokens = 0;  // 0: as many as the context holds
  SamplingParams sampling;
  std::vector<std::string> stop;     // the answer ends before any of these
  std::vector<TokenId> stop_tokens;  // besides the model's own ends of turn
  bool ignore_eos = false;
  bool skip_special_tokens = true;  // leave them out of `text`
  // Special tokens that stay in `text` all the same: the marks of tool calls.
  std::vector<TokenId> shown_special_tokens;
  int priority = 0;            // lower comes first, within +-kMostPriority
  std::string cache_salt;      // only requests with the same one share memory
  std::string label;           // shown by Engine::inspect
  double timeout_seconds = 0;  // from submit: then the answer ends, as far as it is. 0: no limit
  std::optional<int> draft_tokens;  // most guesses a step, 0 to EngineOptions::most_draft_tokens
  std::shared_ptr<const Constraint> constraint;  // what the answer must look like; null: anything
  // The prompt's embedding instead of an answer: Completion::embedding. All about answers is
  // unused.
  std::optional<Pooling> pooling;
  // How likely the prompt's own tokens are, with so many of the likeliest in the place of each:
  // Completion::prompt_logprobs. Such a prompt is computed, not taken from the cache.
  std::optional<int> prompt_logprobs;
  // No answer: it ends with FinishReason::Length before its first token.
  bool prompt_only = false;
};

struct Completion;

// One step of an answer. `text` is what has become certain: it can be empty, it never holds half
// a character, and the texts of all events are the answer.
struct TokenEvent {
  std::optional<SampledToken> token;  // nothing in a last event that only ends the answer
  std::string text;
  std::optional<FinishReason> finish;      // in the last event
  const Completion* completion = nullptr;  // there too: the whole answer, valid during the call
  // In the first event, where they were asked for.
  std::shared_ptr<const PromptLogprobs> prompt_logprobs = nullptr;
};

struct Usage {
  std::int64_t prompt_tokens = 0;
  std::int64_t cached_tokens = 0;    // of the prompt, whose KV was there already
  std::int64_t replayed_tokens = 0;  // run again to rebuild a conv state
  std::int64_t completion_tokens = 0;
  std::int64_t draft_tokens = 0;           // guessed, of the answer
  std::int64_t accepted_draft_tokens = 0;  // and right
  std::int64_t preemptions = 0;
  double queue_seconds = 0;        // from submit to being admitted first
  double first_token_seconds = 0;  // from submit to the first token
  double total_seconds = 0;
};

struct Completion {
  std::string text;
  std::vector<TokenId> tokens;
  FinishReason finish = FinishReason::Stop;
  std::string error;             // with FinishReason::Failed
  std::string stop_string;       // of Request::stop, when one of them ended it
  std::vector<float> embedding;  // [hidden]; with Request::pooling
  // With Request::prompt_logprobs, once the prompt is computed.
  std::shared_ptr<const PromptLogprobs> prompt_logprobs;
  Usage usage;
};

// Called on the engine's thread for every token, in order; it should return soon. It must not
// call into the engine but for cancel().
using TokenCallback = std::function<void(const TokenEvent&)>;

// A submitted request. Dropping the handle does not cancel it.
class Answer {
 public:
  struct State;
  explicit Answer(std::shared_ptr<State> state) : state_(std::move(state)) {}

  // Takes effect before the next step; the answer then ends with FinishReason::Cancelled, and what
  // it held is free when the steps in flight have ended.
  void cancel();
  // Blocks until the answer has ended.
  const Completion& wait();
  bool done() const;

 private:
  std::shared_ptr<State> state_;
};

// What the engine is doing, as of its last step.
struct EngineStats {
  std::int64_t running = 0;             // requests that have memory
  std::int64_t waiting = 0;             // submitted, without memory yet
  std::int64_t kv_tokens = 0;           // positions that running requests hold
  std::int64_t kv_capacity_tokens = 0;  // room for them, and for kept prefixes
  std::int64_t max_running = 0;
  std::uint64_t steps = 0;
  std::uint64_t prompt_tokens = 0;  // of admitted requests, since the start
  std::uint64_t cached_tokens = 0;
  std::uint64_t replayed_tokens = 0;
  std::uint64_t completion_tokens = 0;
  std::uint64_t draft_tokens = 0;
  std::uint64_t accepted_draft_tokens = 0;
  std::uint64_t preemptions = 0;
  std::int64_t cached_blocks = 0;  // in the prefix cache, in use or not
  std::int64_t conv_states = 0;    // kept there
  std::int64_t free_blocks = 0;    // in nobody's hands
  bool broken = false;             // the device has failed: no request will be answered any more
};

// What the engine does at a moment, request by request: for people who look for a reason.
struct RequestState {
  RequestId id = 0;
  std::string label;
  std::string phase;  // "waiting", "prompt", "answer", "ending"
  std::int64_t prompt_tokens = 0;
  std::int64_t tokens = 0;    // prompt and answer so far
  std::int64_t computed = 0;  // of them, whose keys and values are in memory
  std::int64_t most_tokens = 0;
  std::int64_t cached_tokens = 0;
  std::int64_t blocks = 0;  // in its table, shared ones included
  std::int64_t preemptions = 0;
  int priority = 0;
  double age_seconds = 0;
};
struct EngineState {
  std::vector<RequestState> requests;  // in order of arrival
  std::int64_t blocks = 0;             // in all
  std::int64_t free_blocks = 0;
  std::int64_t tree_blocks = 0;    // in the prefix cache
  std::int64_t shared_blocks = 0;  // of them, in use by requests now
  std::int64_t block_tokens = 0;
  std::int64_t conv_states = 0;  // kept in the prefix cache
};

class Engine {
 public:
  static Result<std::unique_ptr<Engine>> open(const EngineOptions& options);
  virtual ~Engine() = default;  // cancels what is running

  // Checks the request and queues it. Thread-safe.
  virtual Result<Answer> submit(Request request, TokenCallback callback) = 0;

  virtual const LoadedModel& files() const = 0;
  virtual const Lfm2& model() const = 0;
  virtual std::int64_t context() const = 0;
  // Thread-safe; waits for nothing.
  virtual EngineStats stats() const = 0;
  virtual const DeviceTraits& device() const = 0;
  // The step thread's timeline; null without EngineOptions::trace_spans.
  virtual const StepTrace* trace() const = 0;

  // The following wait until the engine's thread has done them, between two steps.

  // Forgets what finished requests have left. Those that run keep what they use.
  virtual Status reset_prefix_cache() = 0;
  virtual Result<EngineState> inspect() = 0;
  // Writes what the cache has of these tokens to a file, from which load_session() puts it back
  // into a cache, so that a prompt which begins with them goes on from there. Returns how many
  // tokens of them that were, and for load_session() which.
  virtual Result<std::int64_t> save_session(const std::string& path,
                                            std::span<const TokenId> tokens,
                                            const std::string& cache_salt) = 0;
  virtual Result<std::vector<TokenId>> load_session(const std::string& path,
                                                    const std::string& cache_salt) = 0;

  // One user message through the chat template, ready for Request::prompt.
  Result<std::vector<TokenId>> chat_prompt(std::string_view user_message) const;
  // A whole conversation: see text/chat_request.h.
  Result<std::vector<TokenId>> chat_prompt(const ChatRequest& chat) const;
};

}  // namespace millrace
