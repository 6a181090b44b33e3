// The engine's other questions: numbers, and work on its caches.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "engine/engine_loop.h"
#include "engine/session_file.h"

namespace millrace {

void EngineLoop::publish_stats() {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  IdPool& blocks = parts_->cache->blocks();
  published_.running.store(scheduler_.running(), kRelaxed);
  published_.waiting.store(scheduler_.waiting(), kRelaxed);
  published_.kv_tokens.store(
      (blocks.count() - ledger_.available()) * parts_->cache->geometry().block_tokens, kRelaxed);
  published_.cached_blocks.store(ledger_.tree().blocks(), kRelaxed);
  published_.conv_states.store(ledger_.tree().conv_states(), kRelaxed);
  published_.free_blocks.store(blocks.free_count(), kRelaxed);
  published_.steps.store(counted_.steps, kRelaxed);
  published_.prompt_tokens.store(counted_.prompt_tokens, kRelaxed);
  published_.cached_tokens.store(counted_.cached_tokens, kRelaxed);
  published_.replayed_tokens.store(counted_.replayed_tokens, kRelaxed);
  published_.completion_tokens.store(counted_.completion_tokens, kRelaxed);
  published_.draft_tokens.store(counted_.draft_tokens, kRelaxed);
  published_.accepted_draft_tokens.store(counted_.accepted_draft_tokens, kRelaxed);
  published_.preemptions.store(scheduler_.preemptions(), kRelaxed);
}

EngineStats EngineLoop::stats() const {
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
          .draft_tokens = published_.draft_tokens.load(kRelaxed),
          .accepted_draft_tokens = published_.accepted_draft_tokens.load(kRelaxed),
          .preemptions = published_.preemptions.load(kRelaxed),
          .cached_blocks = published_.cached_blocks.load(kRelaxed),
          .conv_states = published_.conv_states.load(kRelaxed),
          .free_blocks = published_.free_blocks.load(kRelaxed),
          .broken = broken_.load(kRelaxed)};
}

Status EngineLoop::on_loop(std::function<void()> work) {
  if (broken_.load(std::memory_order_acquire)) return fail(ErrorCode::Unavailable, "{}", failure_);
  Command command{.work = std::move(work)};
  command.next = commands_.load(std::memory_order_relaxed);
  while (!commands_.compare_exchange_weak(command.next, &command, std::memory_order_release,
                                          std::memory_order_relaxed)) {
  }
  wake();
  command.done.wait(false, std::memory_order_acquire);
  return {};
}

void EngineLoop::take_commands() {
  Command* command = commands_.exchange(nullptr, std::memory_order_acquire);
  while (command) {
    Command* next = command->next;  // whoever waits may take the rest away at once
    command->work();
    command->done.store(true, std::memory_order_release);
    command->done.notify_all();
    command = next;
  }
}

RequestState EngineLoop::describe(const Running& running) const {
  const auto length = static_cast<std::int64_t>(running.tokens.size());
  RequestState state{.id = running.id,
                     .label = running.state->request.label,
                     .phase = "waiting",
                     .prompt_tokens = running.prompt_length,
                     .tokens = length,
                     .most_tokens = running.max_length,
                     .cached_tokens = running.cached_tokens,
                     .preemptions = std::max<std::int64_t>(0, running.admissions - 1),
                     .priority = running.state->request.priority,
                     .age_seconds = seconds_since(running.state->submitted)};
  const Lease* lease = running.scheduled ? scheduler_.lease(running.id) : running.lease.get();
  if (!lease) return state;
  const SequenceMemory& memory = static_cast<const SequenceLease*>(lease)->memory;
  state.computed = memory.length();
  state.blocks = std::ssize(memory.block_ids());
  state.phase = !running.scheduled               ? "ending"
                : length > running.prompt_length ? "answer"
                                                 : "prompt";
  return state;
}

Result<EngineState> EngineLoop::inspect() {
  EngineState state;
  MILLRACE_TRY(on_loop([&] {
    for (const auto& [id, running] : requests_) state.requests.push_back(describe(*running));
    for (const auto& running : ending_) state.requests.push_back(describe(*running));
    std::sort(state.requests.begin(), state.requests.end(),
              [](const RequestState& a, const RequestState& b) { return a.id < b.id; });
    state.blocks = parts_->cache->blocks().count();
    state.free_blocks = parts_->cache->blocks().free_count();
    state.tree_blocks = ledger_.tree().blocks();
    state.shared_blocks = state.tree_blocks - ledger_.tree().evictable();
    state.block_tokens = parts_->cache->geometry().block_tokens;
    state.conv_states = ledger_.tree().conv_states();
  }));
  return state;
}

Status EngineLoop::reset_prefix_cache() {
  return on_loop([this] { ledger_.tree().clear(); });
}

Result<std::int64_t> EngineLoop::save_session(const std::string& path,
                                              std::span<const TokenId> tokens,
                                              const std::string& cache_salt) {
  Result<std::int64_t> saved = 0;
  MILLRACE_TRY(on_loop([&] {
    saved = millrace::save_session(
        path, tokens, cache_salt,
        {parts_->files, *parts_->device, parts_->runner->stream(), *parts_->cache, ledger_.tree()});
  }));
  return saved;
}

Result<std::vector<TokenId>> EngineLoop::load_session(const std::string& path,
                                                      const std::string& cache_salt) {
  Result<std::vector<TokenId>> loaded = std::vector<TokenId>();
  MILLRACE_TRY(on_loop([&] {
    loaded = millrace::load_session(
        path, cache_salt, context(),
        {parts_->files, *parts_->device, parts_->runner->stream(), *parts_->cache, ledger_.tree()});
  }));
  return loaded;
}

}  // namespace millrace
