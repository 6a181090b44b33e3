#include "engine/engine_loop.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include "base/check.h"
#include "base/thread_pool.h"

namespace millrace {
namespace {

#ifdef NDEBUG
constexpr bool kIsDebugBuild = false;
#else
constexpr bool kIsDebugBuild = true;
#endif

constexpr std::int64_t kMostPromptLogprobs = 100;

// For what the host computes beside the device.
int few_cores() {
  return std::clamp(available_cores() / 4, 1, 8);
}

}  // namespace

EngineLoop::EngineLoop(std::unique_ptr<EngineParts> parts, const EngineOptions& options)
    : parts_(std::move(parts)),
      trace_(options.trace_spans > 0 ? std::make_unique<StepTrace>(options.trace_spans) : nullptr),
      overlap_(options.overlap.value_or(!parts_->device->uses_host_memory())),
      draft_tokens_(options.draft_tokens),
      most_draft_tokens_(parts_->sizes.draft_columns),
      make_drafter_(options.drafter),
      ledger_(*parts_->cache,
              {.context = parts_->sizes.context, .keep_prefixes = options.keep_prefixes},
              [this](RequestId id) -> Sequence& { return *requests_.at(id); }),
      scheduler_(
          {.step_budget = parts_->sizes.limits.max_rows,
           .max_running = parts_->sizes.limits.max_spans,
           .replay_tokens = parts_->cache->geometry().replay_tokens(),
           .spare_logits = parts_->sizes.limits.max_logit_rows - parts_->sizes.limits.max_spans},
          ledger_, options.policy),
      mask_workers_(few_cores(), 2 * static_cast<std::size_t>(parts_->sizes.slots)),
      cancels_(std::make_shared<std::atomic<std::uint64_t>>(0)) {
  if (!make_drafter_)
    make_drafter_ = [](std::int64_t most) { return std::make_unique<LookupDrafter>(most); };
  const auto slots = static_cast<std::size_t>(parts_->sizes.slots);
  ending_.reserve(slots);
  spans_.reserve(slots);
  for (StepInFlight& step : steps_) step.parts.reserve(slots);
  if (options.poison_freed_memory || kIsDebugBuild)
    parts_->cache->poison_freed(parts_->runner->stream());
  if (trace_) parts_->runner->keep_times();
  ends_of_turn_ = turn_ends(parts_->files);
  thread_ = std::thread([this] { loop(); });
}

EngineLoop::~EngineLoop() {
  stopping_ = true;
  wake();
  thread_.join();
}

Result<Answer> EngineLoop::submit(Request request, TokenCallback callback) {
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
  if (std::abs(request.priority) > kMostPriority)
    return fail(ErrorCode::InvalidArgument, "priority: found {}, expected -{} to {}",
                request.priority, kMostPriority, kMostPriority);
  if (!(request.timeout_seconds >= 0))
    return fail(ErrorCode::InvalidArgument, "timeout_seconds: found {}, expected 0 or more",
                request.timeout_seconds);
  const int drafts = request.draft_tokens.value_or(0);
  if (drafts < 0 || drafts > most_draft_tokens_)
    return fail(ErrorCode::InvalidArgument, "draft_tokens: found {}, expected 0 to {}", drafts,
                most_draft_tokens_);
  MILLRACE_TRY(check_sampling(request.sampling, vocab));
  if ((request.pooling || request.prompt_only) && request.constraint)
    return fail(ErrorCode::InvalidArgument,
                "an embedding or a prompt without an answer cannot be constrained");
  if (request.prompt_logprobs) {
    if (request.pooling)
      return fail(ErrorCode::InvalidArgument, "an embedding has no prompt_logprobs");
    const std::int64_t most = std::min(vocab, kMostPromptLogprobs);
    if (*request.prompt_logprobs < 0 || *request.prompt_logprobs > most)
      return fail(ErrorCode::InvalidArgument, "prompt_logprobs: found {}, expected 0 to {}",
                  *request.prompt_logprobs, most);
  }

  const Constraint* constraint = request.constraint.get();
  if (constraint && constraint->vocab != vocab)
    return fail(ErrorCode::InvalidArgument, "the constraint is for {} tokens, the model has {}",
                constraint->vocab, vocab);
  if (constraint && constraint->answer && request.ignore_eos)
    return fail(ErrorCode::InvalidArgument,
                "ignore_eos cannot be combined with a constrained answer, which ends when it is "
                "complete");

  auto state = std::make_shared<Answer::State>();
  if (constraint) state->mask = std::make_unique<MaskJob>(request.constraint);
  state->request = std::move(request);
  state->callback = std::move(callback);
  state->cancels = cancels_;
  state->self = state;
  state->next = inbox_.load(std::memory_order_relaxed);
  while (!inbox_.compare_exchange_weak(state->next, state.get(), std::memory_order_release,
                                       std::memory_order_relaxed)) {
  }
  wake();
  return Answer(std::move(state));
}

void EngineLoop::loop() {
  parts_->device->use_on_this_thread();
  while (!stopping_) {
    const std::uint32_t seen = signal_.load(std::memory_order_acquire);
    {
      TracedPhase phase(trace_.get(), StepPhase::Intake, 0);
      take_inbox();
      take_commands();
      drop_unwanted();
      publish_stats();
    }
    if (is_idle()) {
      const TracedPhase phase(trace_.get(), StepPhase::Idle, 0);
      signal_.wait(seen, std::memory_order_acquire);
    } else {
      try {
        try {
          step();
        } catch (const StuckStep& stuck) {
          fall_back(stuck.what());
        }
      } catch (const DeviceError& error) {
        break_down(error.what());
      }
    }
  }
  take_inbox();
  while (!requests_.empty()) finish(*requests_.begin()->second, FinishReason::Cancelled);
  try {
    while (begun_ != ended_) end_step();
  } catch (const DeviceError& error) {
    break_down(error.what());
  }
  take_commands();
}

// The steps in flight have come to nothing. Whoever took part begins again with the tokens that
// were known before; nobody but the log sees more than a pause.
void EngineLoop::fall_back(const std::string& what) {
  fmt::print(stderr, "millrace: {}; from now on steps run op by op\n", what);
  parts_->runner->abandon();
  ended_ = begun_;
  for (const auto& running : ending_) {
    running->keeps_memory = false;
    ledger_.release(std::move(running->lease));
  }
  ending_.clear();
  for (const auto& [id, running] : requests_)
    if (std::exchange(running->in_flight, 0) > 0) restart(*running);
}

// Like a request that gave its memory up for others, but that what it holds is of no use to
// anybody.
void EngineLoop::restart(Running& running) {
  unschedule(running);
  if (running.lease) {
    running.keeps_memory = false;
    ledger_.release(std::move(running.lease));
    running.keeps_memory = true;
  }
  running.drafts.clear();
  running.scheduled = true;
  scheduler_.submit({.id = running.id,
                     .tokens = std::ssize(running.tokens),
                     .priority = running.state->request.priority,
                     .waits_for_tokens = running.drafter != nullptr,
                     .logits_until = running.logits_until()});
}

// After the device has failed nothing can be computed any more: whoever runs or waits is told, and
// so is everybody who comes later.
void EngineLoop::break_down(const std::string& what) {
  failure_ = "the device failed: " + what;
  broken_.store(true, std::memory_order_release);
  scheduler_.begun();
  ended_ = begun_;  // they never will
  for (const auto& [id, running] : requests_) running->in_flight = 0;
  for (const auto& running : ending_) {
    running->keeps_memory = false;
    ledger_.release(std::move(running->lease));
  }
  ending_.clear();
  take_inbox();
  while (!requests_.empty()) finish(*requests_.begin()->second, FinishReason::Failed, failure_);
}

void EngineLoop::take_inbox() {
  Answer::State* newest = inbox_.exchange(nullptr, std::memory_order_acquire);
  Answer::State* oldest = nullptr;
  while (newest) {  // turned round
    Answer::State* before = std::exchange(newest->next, oldest);
    oldest = std::exchange(newest, before);
  }
  while (oldest) {
    std::shared_ptr<Answer::State> state = std::exchange(oldest->self, nullptr);
    oldest = std::exchange(oldest->next, nullptr);
    const Request& request = state->request;
    auto running = make_running(next_id_++, std::move(state), context(), seeds_());
    const int drafts = running->answers() ? request.draft_tokens.value_or(draft_tokens_) : 0;
    if (drafts > 0) {
      running->drafter = make_drafter_(running->max_length);
      running->draft_length = DraftLength(drafts);
      running->drafts.reserve(static_cast<std::size_t>(drafts));
      running->step_tokens.reserve(static_cast<std::size_t>(drafts) + 1);
    }
    running->taken.reserve(static_cast<std::size_t>(drafts) + 1);
    // What a token that is only guessed does to penalties and masks is known when it is checked: by
    // the host.
    running->samples_on_host = !overlap_ || !parts_->runner->can_sample() ||
                               samples_on_host(request.sampling) ||
                               (drafts > 0 && (running->sample.uses_history || running->mask));
    if (running->scorer && !score_workers_) score_workers_.emplace(few_cores());
    timed_ += request.timeout_seconds > 0;
    if (running->state->cancelled) --cancels_seen_;  // counted before it was here
    scheduler_.submit({.id = running->id,
                       .tokens = running->prompt_length,
                       .priority = request.priority,
                       .waits_for_tokens = drafts > 0,
                       .logits_until = running->logits_until()});
    const RequestId id = running->id;
    requests_.emplace(id, std::move(running));
  }
}

void EngineLoop::drop_unwanted() {
  const std::uint64_t cancels = cancels_->load(std::memory_order_acquire);
  if (std::exchange(cancels_seen_, cancels) == cancels && timed_ == 0) return;
  std::vector<Running*> cancelled, late;
  for (const auto& [id, running] : requests_) {
    if (running->state->cancelled)
      cancelled.push_back(running.get());
    else if (running->is_late())
      late.push_back(running.get());
  }
  for (Running* running : cancelled) finish(*running, FinishReason::Cancelled);
  for (Running* running : late) finish(*running, FinishReason::TimedOut);
}

// One step is begun for each that ends; with overlap, before that one ends, so that the device
// always has work.
void EngineLoop::step() {
  const auto waits_for_host = [&] {
    return begun_ != ended_ && steps_[(begun_ - 1) % Runner::kInFlight].host_looks;
  };
  while (begun_ != ended_ && (!overlap_ || waits_for_host())) end_step();
  const bool began = begin_step();
  while (begun_ - ended_ > 1) end_step();
  if (began) choose_step();
  if (!overlap_ || !began)
    while (begun_ != ended_) end_step();
}

// Masks follow from the tokens of the step before, which has ended, and have been made while this
// one's forward pass runs: only its choice waits for them.
void EngineLoop::choose_step() {
  std::int64_t row = 0;
  for (const StepInFlight::Part& part : steps_[(begun_ - 1) % Runner::kInFlight].parts) {
    const std::int64_t first_row = part.scored + std::exchange(row, row + part.rows());
    Running& running = *part.running;
    if (part.logits == 0 || !running.mask || running.sampler) continue;
    mask_workers_.wait(*running.mask);
    if (running.mask->binds) parts_->runner->set_mask(first_row, running.mask->words);
  }
  if (parts_->runner->waits_for_masks()) parts_->runner->choose();
}

// A sequence has got memory, for the first time or again.
void EngineLoop::admitted(Running& running, const SequenceMemory& memory) {
  Usage& usage = running.state->completion.usage;
  if (running.admissions_seen == 0) {
    running.prepare(parts_->files);
    if (running.mask) mask_workers_.post(*running.mask);
    usage.queue_seconds = seconds_since(running.state->submitted);
    usage.prompt_tokens = running.prompt_length;
    usage.cached_tokens = running.cached_tokens;
    counted_.prompt_tokens += static_cast<std::uint64_t>(running.prompt_length);
    counted_.cached_tokens += static_cast<std::uint64_t>(running.cached_tokens);
  }
  running.admissions_seen = running.admissions;
  if (running.pool) running.pool->restart();
  counted_.replayed_tokens +=
      static_cast<std::uint64_t>(running.replayed_tokens - usage.replayed_tokens);
  usage.replayed_tokens = running.replayed_tokens;
  usage.preemptions = running.admissions - 1;
  if (!running.sampler && running.sample.uses_history) {
    const auto prompt = static_cast<std::size_t>(running.prompt_length);
    const std::span<const TokenId> tokens = running.tokens;
    parts_->runner->set_history(memory, tokens.first(prompt), tokens.subspan(prompt));
  }
}

StepSpan EngineLoop::step_span(Running& running, const PlanSpan& span) {
  SequenceMemory& memory = sequence_lease(*span.lease).memory;
  const std::span<const TokenId> tokens = running.tokens;
  const auto first = static_cast<std::size_t>(span.first);
  const auto count = static_cast<std::size_t>(span.count);
  const bool chooses = span.wants_logits && running.answers();
  const bool scored = span.kind == SpanKind::Prefill && running.scorer &&
                      running.scorer->wants(span.first, span.count);
  StepSpan step = {.memory = &memory,
                   .tokens = {},
                   .kind = span.kind,
                   .logits = scored    ? Logits::All
                             : chooses ? Logits::Last
                                       : Logits::None,
                   .sample = chooses && !running.sampler ? &running.sample : nullptr,
                   .masked = running.mask != nullptr,
                   .states = running.pool && span.kind == SpanKind::Prefill,
                   .scored = scored};
  if (span.kind == SpanKind::Decode && count > 1) {
    running.step_tokens.assign(1, tokens[first]);
    running.step_tokens.insert(running.step_tokens.end(), running.drafts.begin(),
                               running.drafts.end());
    step.tokens = running.step_tokens;
    step.logits = Logits::All;
  } else if (first >= tokens.size()) {
    check(count == 1, "a plan goes on beyond the token that is being chosen");
    step.tokens = std::span<const TokenId>(&kChosenOnDevice, 1);
  } else {
    step.tokens = tokens.subspan(first, count);
  }
  return step;
}

// False if there is nothing to compute.
bool EngineLoop::begin_step() {
  TracedPhase planning(trace_.get(), StepPhase::Plan, begun_ + 1);
  const std::span<const PlanSpan> plan = scheduler_.next_plan();
  if (plan.empty()) {
    planning.drop();
    return false;
  }
  std::int64_t step_tokens = 0;
  spans_.clear();
  StepInFlight& step = steps_[begun_ % Runner::kInFlight];
  step.parts.clear();
  step.host_looks = false;
  for (const PlanSpan& span : plan) {
    SequenceLease& lease = sequence_lease(*span.lease);
    auto& running = static_cast<Running&>(*lease.sequence);
    if (running.admissions_seen != running.admissions) admitted(running, lease.memory);
    spans_.push_back(step_span(running, span));
    const std::int64_t first_row = std::exchange(step_tokens, step_tokens + span.count);
    const std::int64_t logits = !span.wants_logits || !running.answers() ? 0
                                : span.kind == SpanKind::Decode          ? span.count
                                                                         : 1;
    const std::int64_t computed =
        span.kind == SpanKind::Replay ? span.first : span.first + span.count;
    step.parts.push_back({&running, &lease, span.kind, computed, logits});
    if (spans_.back().states) {
      step.parts.back().first_state = first_row;
      step.parts.back().states = span.count;
    }
    if (spans_.back().scored) step.parts.back().scored = span.count - logits;
    step.host_looks = step.host_looks || spans_.back().states || spans_.back().scored ||
                      (logits > 0 && running.sampler);
  }
  planning.set_amount(step_tokens);
  planning.end();
  {
    const TracedPhase phase(trace_.get(), StepPhase::Launch, begun_ + 1);
    parts_->runner->begin(spans_);
  }
  ++begun_;
  ++counted_.steps;
  scheduler_.begun();
  for (const StepInFlight::Part& part : step.parts) {
    Running& running = *part.running;
    ++running.in_flight;
    // Its last token is on its way.
    if ((part.logits > 0 || part.states > 0 || !running.answers()) && !running.drafter &&
        part.computed + 1 >= running.max_length)
      unschedule(running);
  }
  return true;
}

// The mask for the token after this one is made while texts and callbacks are seen to. False if
// this one is not allowed, which is so only where no token was.
bool EngineLoop::walk_on(Running& running, TokenId token) {
  if (!running.mask) return true;
  MaskJob& mask = *running.mask;
  if (mask.binds && !mask_has(mask.words, token)) return false;
  // The step after this one may be the last, and on its way already: its choice waits for the mask.
  if (!running.scheduled && running.in_flight < 2) return true;
  mask.token = token;
  mask_workers_.post(mask);
  return true;
}

void EngineLoop::end_step() {
  {
    const TracedPhase phase(trace_.get(), StepPhase::Wait, ended_ + 1);
    parts_->runner->end();
  }
  if (const auto time = parts_->runner->last_time(); trace_ && time)
    trace_->add({.phase = StepPhase::Device,
                 .step = ended_ + 1,
                 .begin_ns = time->begin_ns,
                 .end_ns = time->end_ns});
  TracedPhase delivering(trace_.get(), StepPhase::Deliver, ended_ + 1);
  const std::uint64_t tokens_before = counted_.completion_tokens;
  StepInFlight& step = steps_[ended_++ % Runner::kInFlight];
  std::int64_t row = 0;
  for (const StepInFlight::Part& part : step.parts) {
    const std::int64_t first_row = part.scored + std::exchange(row, row + part.rows());
    if (part.logits == 0 || !part.running->mask || part.running->sampler || part.running->ended)
      continue;
    const TokenId token = parts_->runner->chosen(first_row);
    if (token >= 0) part.running->refused = !walk_on(*part.running, token);
  }
  row = 0;
  for (const StepInFlight::Part& part : step.parts) {
    Running& running = *part.running;
    --running.in_flight;
    const std::int64_t first_row = std::exchange(row, row + part.rows());
    const auto ended = std::find_if(ending_.begin(), ending_.end(),
                                    [&](const auto& each) { return each.get() == &running; });
    if (ended != ending_.end()) {
      if (running.in_flight > 0) continue;
      ledger_.release(std::move(running.lease));
      ending_.erase(ended);
      continue;
    }
    if (part.kind == SpanKind::Prefill) ledger_.computed(*part.lease, part.computed);
    // Whoever is put off gets its memory's end here, unless the answer has ended.
    const RequestId id = running.id;
    const bool was_all = !running.answers() && !running.pool && part.kind == SpanKind::Prefill &&
                         part.computed == running.prompt_length;
    if (part.states > 0) take_states(part);
    if (part.scored > 0 && !take_scores(part, first_row)) continue;
    if (part.logits > 0) take_tokens(part, first_row + part.scored);
    if (was_all) finish(running, FinishReason::Length);
    if (!requests_.contains(id) || running.in_flight > 0) continue;
    if (std::unique_ptr<Lease> lease = ledger_.take_preempted(running)) {
      ledger_.release(std::move(lease));
      scheduler_.returned(id, std::ssize(running.tokens));
    }
  }
  delivering.set_amount(static_cast<std::int64_t>(counted_.completion_tokens - tokens_before));
}

void EngineLoop::take_states(const StepInFlight::Part& part) {
  Running& running = *part.running;
  const bool ends = part.computed == running.prompt_length;
  state_.resize(static_cast<std::size_t>(parts_->files.config.hidden));
  const std::int64_t end = part.first_state + part.states;
  const bool all = running.pool->pooling() == Pooling::Mean;
  for (std::int64_t row = all ? part.first_state : end - 1; row < end; ++row) {
    parts_->runner->state(row, state_);
    running.pool->add(state_);
  }
  if (!ends) return;
  std::vector<float> embedding = running.pool->result();
  const bool damaged =
      std::any_of(embedding.begin(), embedding.end(), [](float x) { return x != x; });
  if (damaged)
    return finish(running, FinishReason::Failed, damaged_weights(running.prompt_length - 1));
  running.state->completion.embedding = std::move(embedding);
  finish(running, FinishReason::Stop);
}

bool EngineLoop::take_scores(const StepInFlight::Part& part, std::int64_t row) {
  Running& running = *part.running;
  const std::int64_t first = part.computed - part.rows();
  check(first <= running.scorer->scored(), "a prompt's rows of logits are left out");
  score_workers_->run(part.scored, [&](std::int64_t i) {
    running.scorer->judge(first + i, parts_->runner->logits(row + i));
  });
  if (const Status scored = running.scorer->advance(first + part.scored); !scored) {
    finish(running, FinishReason::Failed, scored.error().message);
    return false;
  }
  running.note_scores();
  if (running.scheduled) scheduler_.judged(running.id, running.scorer->scored());
  return true;
}

Result<SampledToken> EngineLoop::token_of(Running& running, std::int64_t row,
                                          std::int64_t position) {
  const auto no_token = [&] {
    return fail(ErrorCode::Unsupported,
                "the constraint allows no token of this vocabulary at position {}", position);
  };
  if (running.sampler) {
    std::span<const std::uint32_t> mask;
    if (running.mask) {
      mask_workers_.wait(*running.mask);
      if (running.mask->binds) mask = running.mask->words;
    }
    Result<SampledToken> token =
        running.sampler->sample(parts_->runner->logits(row), position, mask);
    if (token && !walk_on(running, token->token)) return no_token();
    return token;
  }
  if (running.refused) return no_token();
  const TokenId token = parts_->runner->chosen(row);
  if (token < 0) return fail(ErrorCode::Corrupt, "{}", damaged_weights(position));
  return SampledToken{.token = token};
}

void EngineLoop::take_tokens(const StepInFlight::Part& part, std::int64_t row) {
  Running& running = *part.running;
  running.taken.clear();
  // A guess is right if it is the token that is drawn where it stands. What was computed after a
  // wrong one never was.
  const std::int64_t guesses = part.logits - 1;
  for (std::int64_t i = 0; i <= guesses; ++i) {
    Result<SampledToken> token =
        token_of(running, row + i, std::ssize(running.tokens) + std::ssize(running.taken));
    if (!token) return finish(running, FinishReason::Failed, token.error().message);
    running.taken.push_back(std::move(*token));
    if (i < guesses && running.taken.back().token != running.drafts[static_cast<std::size_t>(i)])
      break;
  }
  if (running.drafter) {
    const std::int64_t right = std::ssize(running.taken) - 1;
    Usage& usage = running.state->completion.usage;
    usage.draft_tokens += guesses;
    usage.accepted_draft_tokens += right;
    counted_.draft_tokens += static_cast<std::uint64_t>(guesses);
    counted_.accepted_draft_tokens += static_cast<std::uint64_t>(right);
    running.draft_length.learn(guesses, right);
    const std::int64_t computed = part.computed - guesses + right;
    part.lease->memory.rewind(std::min(part.lease->memory.length(), computed));
    scheduler_.verified(running.id, computed);
  }
  for (const SampledToken& token : running.taken) {
    ++counted_.completion_tokens;
    if (!running.accept(token, parts_->files, ends_of_turn_)) continue;
    return finish(running, running.state->completion.finish);
  }
}

void EngineLoop::unschedule(Running& running) {
  if (!std::exchange(running.scheduled, false)) return;
  running.lease = scheduler_.end(running.id);
  if (!running.lease) running.lease = ledger_.take_preempted(running);
}

// The answer ends now; its memory is free when no step in flight uses it.
void EngineLoop::finish(Running& running, FinishReason reason, std::string error) {
  unschedule(running);
  const auto found = requests_.find(running.id);
  check(found != requests_.end(), "a request ends twice");
  std::unique_ptr<Running> last = std::move(found->second);
  requests_.erase(found);
  last->ended = true;
  if (last->mask) mask_workers_.wait(*last->mask);
  const std::shared_ptr<Answer::State> state = last->state;
  timed_ -= state->request.timeout_seconds > 0;
  state->completion.usage.prompt_tokens = last->prompt_length;
  last->keeps_memory = reason != FinishReason::Failed;
  if (last->in_flight > 0)
    ending_.push_back(std::move(last));
  else if (last->lease)
    ledger_.release(std::move(last->lease));
  state->end(reason, std::move(error));
}

}  // namespace millrace
