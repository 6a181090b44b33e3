#include "engine/engine.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <deque>
#include <random>
#include <thread>

#include "base/check.h"
#include "engine/parts.h"
#include "engine/prefix_store.h"
#include "engine/sampler.h"
#include "engine/stop_matcher.h"
#include "text/detokenizer.h"

namespace millrace {

std::string_view to_string(FinishReason reason) {
  switch (reason) {
    case FinishReason::Stop:
      return "stop";
    case FinishReason::Length:
      return "length";
    case FinishReason::Cancelled:
      return "cancelled";
    case FinishReason::Failed:
      return "failed";
  }
  return "unknown";
}

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

}  // namespace

// Shared by the handle, the inbox and the engine. The engine writes `completion` and then sets
// `ended`; the handle reads it only after.
struct Answer::State {
  Request request;
  TokenCallback callback;
  Clock::time_point submitted = Clock::now();
  std::atomic<bool> cancelled = false;
  std::atomic<bool> ended = false;
  Completion completion;
  State* next = nullptr;        // in the inbox
  std::shared_ptr<State> self;  // keeps it alive while it is there
};

void Answer::cancel() {
  state_->cancelled = true;
}

const Completion& Answer::wait() {
  state_->ended.wait(false, std::memory_order_acquire);
  return state_->completion;
}

bool Answer::done() const {
  return state_->ended.load(std::memory_order_acquire);
}

namespace {

// A request that has memory and is being computed.
struct Running {
  RequestId id;
  std::shared_ptr<Answer::State> state;
  SequenceMemory memory;
  std::vector<TokenId> tokens;  // prompt, then answer; reserved to its end
  std::int64_t prompt_length;
  std::int64_t max_length;  // of tokens
  SampleRow sample;         // how steps choose its tokens; else `sampler` does
  std::optional<Sampler> sampler;
  std::optional<Detokenizer> detokenizer;
  StopMatcher stops;
  bool scheduled = true;     // the scheduler knows it: more steps are to come
  int in_flight = 0;         // steps begun and not ended that use its memory
  bool keeps_memory = true;  // when it has ended
};

// A step that has been begun: who takes part, and who of them gets a token from it.
struct StepInFlight {
  struct Part {
    Running* running;
    bool gets_token;
  };
  std::vector<Part> parts;
  bool host_samples = false;  // somebody's next token is chosen by the host
};

class EngineImpl final : public Engine {
 public:
  EngineImpl(std::unique_ptr<EngineParts> parts, const EngineOptions& options)
      : parts_(std::move(parts)),
        keep_prefixes_(options.keep_prefixes),
        overlap_(options.overlap.value_or(!parts_->device->uses_host_memory())),
        scheduler_({.step_budget = parts_->sizes.limits.max_rows,
                    .max_running = parts_->sizes.limits.max_spans}) {
    running_.reserve(static_cast<std::size_t>(parts_->sizes.slots));
    ending_.reserve(static_cast<std::size_t>(parts_->sizes.slots));
    spans_.reserve(static_cast<std::size_t>(parts_->sizes.slots));
    for (StepInFlight& step : steps_)
      step.parts.reserve(static_cast<std::size_t>(parts_->sizes.slots));
    const GenerationDefaults& generation = parts_->files.generation;
    eos_ = generation.eos;
    if (eos_.empty() && parts_->files.config.eos) eos_.push_back(*parts_->files.config.eos);
    thread_ = std::thread([this] { loop(); });
  }

  ~EngineImpl() override {
    stopping_ = true;
    wake();
    thread_.join();
  }

  Result<Answer> submit(Request request, TokenCallback callback) override;

  const LoadedModel& files() const override { return parts_->files; }
  const Lfm2& model() const override { return *parts_->model; }
  std::int64_t context() const override { return parts_->sizes.context; }
  EngineStats stats() const override;
  const DeviceTraits& device() const override { return parts_->device->traits(); }

 private:
  void loop();
  void wake() {
    signal_.fetch_add(1, std::memory_order_release);
    signal_.notify_one();
  }
  void take_inbox();
  void drop_cancelled();
  void admit_waiting();
  bool admit(const std::shared_ptr<Answer::State>& state);
  // Whoever is left without a step to come can be waited for.
  bool is_idle() const { return running_.empty() && begun_ == ended_; }
  void step();
  bool begin_step();
  void end_step();
  void break_down(const std::string& what);
  void publish_stats();
  void accept_token(Running& running, const SampledToken& sampled);
  // Ends an answer that has no memory, or gives its memory to the prefix store.
  void end(Answer::State& state, FinishReason reason, std::string text, std::string error = {});
  void finish(Running& running, FinishReason reason, std::string text, std::string error = {});
  void unschedule(Running& running);
  void give_back(std::unique_ptr<Running> running);

  std::unique_ptr<EngineParts> parts_;
  bool keep_prefixes_;
  bool overlap_;
  Scheduler scheduler_;
  PrefixStore prefixes_;
  std::vector<TokenId> eos_;
  std::deque<std::shared_ptr<Answer::State>> waiting_;
  std::vector<std::unique_ptr<Running>> running_;
  // Have ended, but a step in flight still uses their memory.
  std::vector<std::unique_ptr<Running>> ending_;
  std::vector<StepSpan> spans_;
  std::array<StepInFlight, Runner::kInFlight> steps_;
  std::uint64_t begun_ = 0;
  std::uint64_t ended_ = 0;
  RequestId next_id_ = 1;
  std::mt19937_64 seeds_{std::random_device{}()};

  std::atomic<Answer::State*> inbox_ =
      nullptr;  // newest first; submitters push, the loop takes all
  std::atomic<std::uint32_t> signal_ = 0;

  EngineStats counted_;  // the loop's own
  struct {
    std::atomic<std::int64_t> running = 0, waiting = 0, kv_tokens = 0;
    std::atomic<std::uint64_t> steps = 0, prompt_tokens = 0, cached_tokens = 0, replayed_tokens = 0,
                               completion_tokens = 0;
  } published_;
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> broken_ = false;
  std::string failure_;  // written before broken_ is set, never after
  std::thread thread_;
};

Result<Answer> EngineImpl::submit(Request request, TokenCallback callback) {
  if (broken_.load(std::memory_order_acquire)) return fail(ErrorCode::Unavailable, "{}", failure_);
  const std::int64_t vocab = parts_->files.config.vocab;
  if (request.prompt.empty())
    return fail(ErrorCode::InvalidArgument, "the prompt is empty: at least one token is needed");
  for (const TokenId token : request.prompt)
    if (token < 0 || token >= vocab)
      return fail(ErrorCode::InvalidArgument, "the prompt holds token {}, expected 0 to {}", token,
                  vocab - 1);
  const auto length = static_cast<std::int64_t>(request.prompt.size());
  if (length >= context())
    return fail(ErrorCode::TooLarge,
                "the prompt has {} tokens; the context holds {} for prompt and answer", length,
                context());
  if (request.max_tokens < 0)
    return fail(ErrorCode::InvalidArgument, "max_tokens: found {}, expected 0 or more",
                request.max_tokens);
  MILLRACE_TRY(check_sampling(request.sampling, vocab));

  auto state = std::make_shared<Answer::State>();
  state->request = std::move(request);
  state->callback = std::move(callback);
  state->self = state;
  state->next = inbox_.load(std::memory_order_relaxed);
  while (!inbox_.compare_exchange_weak(state->next, state.get(), std::memory_order_release,
                                       std::memory_order_relaxed)) {
  }
  wake();
  return Answer(std::move(state));
}

void EngineImpl::loop() {
  parts_->device->use_on_this_thread();
  while (!stopping_) {
    const std::uint32_t seen = signal_.load(std::memory_order_acquire);
    take_inbox();
    drop_cancelled();
    admit_waiting();
    publish_stats();
    if (is_idle())
      signal_.wait(seen, std::memory_order_acquire);
    else
      try {
        step();
      } catch (const DeviceError& error) {
        break_down(error.what());
      }
  }
  take_inbox();
  for (const auto& state : waiting_) end(*state, FinishReason::Cancelled, "");
  while (!running_.empty()) finish(*running_.back(), FinishReason::Cancelled, "");
  try {
    while (begun_ != ended_) end_step();
  } catch (const DeviceError& error) {
    break_down(error.what());
  }
}

// After the device has failed nothing can be computed any more: whoever runs or waits is told, and
// so is everybody who comes later.
void EngineImpl::break_down(const std::string& what) {
  failure_ = "the device failed: " + what;
  broken_.store(true, std::memory_order_release);
  scheduler_.advance();
  ended_ = begun_;  // they never will
  for (const auto& running : running_) running->in_flight = 0;
  ending_.clear();
  while (!running_.empty()) finish(*running_.back(), FinishReason::Failed, "", failure_);
  take_inbox();
  for (const auto& state : waiting_) end(*state, FinishReason::Failed, "", failure_);
  waiting_.clear();
}

void EngineImpl::take_inbox() {
  Answer::State* newest = inbox_.exchange(nullptr, std::memory_order_acquire);
  const auto already = static_cast<std::ptrdiff_t>(waiting_.size());
  for (Answer::State* state = newest; state;) {
    Answer::State* older = std::exchange(state->next, nullptr);
    waiting_.insert(waiting_.begin() + already, std::exchange(state->self, nullptr));
    state = older;
  }
}

void EngineImpl::drop_cancelled() {
  for (auto it = waiting_.begin(); it != waiting_.end();) {
    if (!(*it)->cancelled) {
      ++it;
      continue;
    }
    end(**it, FinishReason::Cancelled, "");
    it = waiting_.erase(it);
  }
  for (std::size_t i = running_.size(); i-- > 0;)
    if (running_[i]->state->cancelled) finish(*running_[i], FinishReason::Cancelled, "");
}

void EngineImpl::admit_waiting() {
  while (!waiting_.empty() &&
         static_cast<std::int64_t>(running_.size()) < parts_->sizes.limits.max_spans &&
         admit(waiting_.front()))
    waiting_.pop_front();
}

// Takes memory for the whole answer at once, so that what has begun can always end.
bool EngineImpl::admit(const std::shared_ptr<Answer::State>& state) {
  const Request& request = state->request;
  const auto prompt_length = static_cast<std::int64_t>(request.prompt.size());
  const std::int64_t max_length =
      request.max_tokens > 0 ? std::min(context(), prompt_length + request.max_tokens) : context();

  std::optional<SequenceMemory> memory;
  if (std::optional<PrefixStore::Entry> kept = prefixes_.take(request.prompt))
    memory = std::move(kept->memory);
  while (!memory) {
    memory = SequenceMemory::open(*parts_->cache, context());
    if (!memory && !prefixes_.drop_oldest()) return false;
  }
  while (!memory->reserve(max_length - memory->length())) {
    if (prefixes_.drop_oldest()) continue;
    if (!running_.empty()) return false;  // blocks come back when one of them ends
    check(false, "an idle engine has no room for a single sequence");
  }

  const std::int64_t cached = memory->length();
  const std::int64_t replay = memory->replay_count();
  const LoadedModel& files = parts_->files;
  auto running =
      std::make_unique<Running>(Running{.id = next_id_++,
                                        .state = state,
                                        .memory = std::move(*memory),
                                        .tokens = {},
                                        .prompt_length = prompt_length,
                                        .max_length = max_length,
                                        .sample = sample_row_of(request.sampling, seeds_()),
                                        .sampler = std::nullopt,
                                        .detokenizer = std::nullopt,
                                        .stops = StopMatcher(request.stop)});
  running->tokens.reserve(static_cast<std::size_t>(max_length));
  running->tokens = request.prompt;
  running->tokens.reserve(static_cast<std::size_t>(max_length));
  if (!overlap_ || !parts_->runner->can_sample() || samples_on_host(request.sampling)) {
    running->sampler.emplace(request.sampling, files.config.vocab, running->sample.seed);
    running->sampler->observe_prompt(request.prompt);
  } else if (running->sample.uses_history) {
    parts_->runner->set_history(running->memory, request.prompt, {});
  }
  if (files.tokenizer)
    // Which special tokens are left out is decided token by token.
    running->detokenizer.emplace(*files.tokenizer, DecodeOptions{.skip_special_tokens = false});
  Usage& usage = state->completion.usage;
  usage.prompt_tokens = prompt_length;
  usage.cached_tokens = cached;
  usage.replayed_tokens = replay;
  counted_.prompt_tokens += static_cast<std::uint64_t>(prompt_length);
  counted_.cached_tokens += static_cast<std::uint64_t>(cached);
  counted_.replayed_tokens += static_cast<std::uint64_t>(replay);
  state->completion.tokens.reserve(static_cast<std::size_t>(max_length - prompt_length));
  scheduler_.add(running->id, prompt_length, cached, replay);
  running_.push_back(std::move(running));
  return true;
}

// One step is begun for each that ends; with overlap, before that one ends, so that the device
// always has work.
void EngineImpl::step() {
  const auto waits_for_host = [&] {
    return begun_ != ended_ && steps_[(begun_ - 1) % Runner::kInFlight].host_samples;
  };
  while (begun_ != ended_ && (!overlap_ || waits_for_host())) end_step();
  const bool began = begin_step();
  const std::uint64_t stay = overlap_ && began ? 1 : 0;
  while (begun_ - ended_ > stay) end_step();
}

// False if there is nothing to compute.
bool EngineImpl::begin_step() {
  const std::span<const PlanSpan> plan = scheduler_.next_plan();
  if (plan.empty()) return false;
  spans_.clear();
  StepInFlight& step = steps_[begun_ % Runner::kInFlight];
  step.parts.clear();
  step.host_samples = false;
  const auto running_of = [&](RequestId id) -> Running& {
    for (const auto& running : running_)
      if (running->id == id) return *running;
    check_failed("a plan names a request that does not run");
  };
  for (const PlanSpan& span : plan) {
    Running& running = running_of(span.id);
    const bool unknown = span.first >= std::ssize(running.tokens);
    check(!unknown || span.count == 1, "a plan goes on beyond the token that is being chosen");
    spans_.push_back({.memory = &running.memory,
                      .tokens = unknown ? std::span<const TokenId>(&kChosenOnDevice, 1)
                                        : std::span<const TokenId>(running.tokens)
                                              .subspan(static_cast<std::size_t>(span.first),
                                                       static_cast<std::size_t>(span.count)),
                      .kind = span.kind,
                      .logits = span.wants_logits ? Logits::Last : Logits::None,
                      .sample = span.wants_logits && !running.sampler ? &running.sample : nullptr});
    step.parts.push_back({&running, span.wants_logits});
    step.host_samples = step.host_samples || (span.wants_logits && running.sampler);
  }
  parts_->runner->begin(spans_);
  ++begun_;
  ++counted_.steps;
  scheduler_.advance();
  for (const StepInFlight::Part& part : step.parts) {
    Running& running = *part.running;
    ++running.in_flight;
    // Its last token is on its way.
    if (part.gets_token && running.memory.length() + 1 >= running.max_length) unschedule(running);
  }
  return true;
}

void EngineImpl::end_step() {
  parts_->runner->end();
  StepInFlight& step = steps_[ended_++ % Runner::kInFlight];
  std::int64_t row = -1;
  for (const StepInFlight::Part& part : step.parts) {
    Running& running = *part.running;
    --running.in_flight;
    if (part.gets_token) ++row;
    const auto ended = std::find_if(ending_.begin(), ending_.end(),
                                    [&](const auto& each) { return each.get() == &running; });
    if (ended != ending_.end()) {
      if (running.in_flight > 0) continue;
      std::unique_ptr<Running> last = std::move(*ended);
      ending_.erase(ended);
      give_back(std::move(last));
    } else if (part.gets_token && running.sampler) {
      const Result<SampledToken> sampled =
          running.sampler->sample(parts_->runner->logits(row), std::ssize(running.tokens));
      if (sampled)
        accept_token(running, *sampled);
      else
        finish(running, FinishReason::Failed, "", sampled.error().message);
    } else if (part.gets_token) {
      const TokenId token = parts_->runner->chosen(row);
      if (token >= 0)
        accept_token(running, {.token = token});
      else
        finish(running, FinishReason::Failed, "", damaged_weights(std::ssize(running.tokens)));
    }
  }
}

void EngineImpl::publish_stats() {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  std::int64_t kv_tokens = 0;
  for (const auto& running : running_) kv_tokens += running->memory.length();
  published_.running.store(std::ssize(running_), kRelaxed);
  published_.waiting.store(std::ssize(waiting_), kRelaxed);
  published_.kv_tokens.store(kv_tokens, kRelaxed);
  published_.steps.store(counted_.steps, kRelaxed);
  published_.prompt_tokens.store(counted_.prompt_tokens, kRelaxed);
  published_.cached_tokens.store(counted_.cached_tokens, kRelaxed);
  published_.replayed_tokens.store(counted_.replayed_tokens, kRelaxed);
  published_.completion_tokens.store(counted_.completion_tokens, kRelaxed);
}

EngineStats EngineImpl::stats() const {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  const CacheGeometry& geometry = parts_->cache->geometry();
  return {.running = published_.running.load(kRelaxed),
          .waiting = published_.waiting.load(kRelaxed),
          .kv_tokens = published_.kv_tokens.load(kRelaxed),
          .kv_capacity_tokens = std::int64_t{parts_->sizes.blocks} * geometry.block_tokens,
          .max_running = parts_->sizes.limits.max_spans,
          .steps = published_.steps.load(kRelaxed),
          .prompt_tokens = published_.prompt_tokens.load(kRelaxed),
          .cached_tokens = published_.cached_tokens.load(kRelaxed),
          .replayed_tokens = published_.replayed_tokens.load(kRelaxed),
          .completion_tokens = published_.completion_tokens.load(kRelaxed),
          .broken = broken_.load(kRelaxed)};
}

void EngineImpl::accept_token(Running& running, const SampledToken& sampled) {
  Answer::State& state = *running.state;
  Completion& completion = state.completion;
  const TokenId token = sampled.token;
  ++counted_.completion_tokens;
  if (completion.usage.completion_tokens++ == 0)
    completion.usage.first_token_seconds = seconds_since(state.submitted);
  running.tokens.push_back(token);
  completion.tokens.push_back(token);

  const auto contains = [&](const std::vector<TokenId>& tokens) {
    return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
  };
  const bool ends_turn =
      (!state.request.ignore_eos && contains(eos_)) || contains(state.request.stop_tokens);
  std::string text;
  const bool hidden = state.request.skip_special_tokens && parts_->files.tokenizer &&
                      parts_->files.tokenizer->is_special(token) &&
                      !contains(state.request.shown_special_tokens);
  if (running.detokenizer && !ends_turn && !hidden)
    text = running.stops.push(running.detokenizer->push(token));
  std::optional<FinishReason> reason;
  if (ends_turn || running.stops.matched())
    reason = FinishReason::Stop;
  else if (static_cast<std::int64_t>(running.tokens.size()) >= running.max_length)
    reason = FinishReason::Length;
  if (reason && !running.stops.matched() && running.detokenizer) {
    text += running.stops.push(running.detokenizer->flush());
    text += running.stops.flush();
  }
  completion.text += text;
  if (!reason) {
    if (state.callback) state.callback({sampled, std::move(text), {}, nullptr});
    return;
  }
  completion.finish = *reason;
  completion.stop_string = running.stops.match();
  completion.usage.total_seconds = seconds_since(state.submitted);
  if (state.callback) state.callback({sampled, std::move(text), reason, &completion});
  state.callback = nullptr;
  finish(running, *reason, "");
}

void EngineImpl::end(Answer::State& state, FinishReason reason, std::string text,
                     std::string error) {
  state.completion.finish = reason;
  state.completion.error = std::move(error);
  state.completion.usage.total_seconds = seconds_since(state.submitted);
  if (state.callback) state.callback({std::nullopt, std::move(text), reason, &state.completion});
  state.callback = nullptr;
  state.ended.store(true, std::memory_order_release);
  state.ended.notify_all();
}

void EngineImpl::unschedule(Running& running) {
  if (std::exchange(running.scheduled, false)) scheduler_.finish(running.id);
}

// The answer ends now; its memory is free when no step in flight uses it.
void EngineImpl::finish(Running& running, FinishReason reason, std::string text,
                        std::string error) {
  unschedule(running);
  const auto it = std::find_if(running_.begin(), running_.end(),
                               [&](const auto& each) { return each.get() == &running; });
  check(it != running_.end(), "a request ends twice");
  std::unique_ptr<Running> last = std::move(*it);
  running_.erase(it);
  const std::shared_ptr<Answer::State> state = last->state;
  last->keeps_memory = keep_prefixes_ && reason != FinishReason::Failed;
  if (last->in_flight > 0)
    ending_.push_back(std::move(last));
  else
    give_back(std::move(last));
  end(*state, reason, std::move(text), std::move(error));
}

void EngineImpl::give_back(std::unique_ptr<Running> running) {
  // A failed request's memory may hold whatever made it fail.
  if (!running->keeps_memory) return;
  // With overlap a step may have run the token that ended the answer, never one after it.
  running->tokens.resize(static_cast<std::size_t>(running->memory.length()));
  running->memory.rewind(running->memory.length());  // gives reserved blocks back
  prefixes_.keep({std::move(running->tokens), std::move(running->memory)});
}

}  // namespace

Result<std::unique_ptr<Engine>> Engine::open(const EngineOptions& options) {
  LoadedModel files = MILLRACE_TRY(load_model(options.model, options.load));
  std::unique_ptr<EngineParts> parts = MILLRACE_TRY(make_parts(std::move(files), options));
  return std::make_unique<EngineImpl>(std::move(parts), options);
}

Result<std::vector<TokenId>> Engine::chat_prompt(const ChatRequest& chat) const {
  const LoadedModel& loaded = files();
  if (!loaded.tokenizer)
    return fail(ErrorCode::Unsupported, "{}: has no tokenizer, give token ids", loaded.path);
  if (!loaded.chat_template)
    return fail(ErrorCode::Unsupported, "{}: has no chat template", loaded.path);
  const std::string text = MILLRACE_TRY(loaded.chat_template->render(chat));
  // The template writes the beginning-of-text token itself.
  return loaded.tokenizer->encode(text, {.add_special_tokens = false});
}

Result<std::vector<TokenId>> Engine::chat_prompt(std::string_view user_message) const {
  ChatRequest chat;
  chat.messages = Json::array({{{"role", "user"}, {"content", std::string(user_message)}}});
  chat.add_generation_prompt = true;
  return chat_prompt(chat);
}

}  // namespace millrace
