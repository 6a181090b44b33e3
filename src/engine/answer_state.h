// What a submitted request is on both sides: the handle's and the engine's.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>

#include "constraint/mask_workers.h"
#include "engine/engine.h"

namespace millrace {

using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Shared by the handle, the inbox and the engine. The engine writes `completion` and then sets
// `ended`; the handle reads it only after.
struct Answer::State {
  Request request;
  TokenCallback callback;
  Clock::time_point submitted = Clock::now();
  std::atomic<bool> cancelled = false;
  std::atomic<bool> ended = false;
  Completion completion;
  std::unique_ptr<MaskJob> mask;  // with a constraint; the engine's from the inbox on
  State* next = nullptr;          // in the inbox
  std::shared_ptr<State> self;    // keeps it alive while it is there
  std::shared_ptr<std::atomic<std::uint64_t>> cancels;  // the engine's: how often any was cancelled

  // The last event, and whoever waits goes on.
  void end(FinishReason reason, std::string error);
  void end_with(const TokenEvent& event);
};

}  // namespace millrace
