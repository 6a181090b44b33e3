// What the engine's steps bring to a request's answers.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace millrace::server {

using Clock = std::chrono::steady_clock;

// One step of one answer, as it arrives where answers are written.
struct TokenUpdate {
  int choice = 0;
  std::optional<SampledToken> token;
  std::string text;
  std::optional<FinishReason> finish;
  std::string error, stop_string;                         // with finish
  Usage usage;                                            // with finish
  std::vector<float> embedding;                           // with finish, where one was asked for
  std::shared_ptr<const PromptLogprobs> prompt_logprobs;  // with the first, where asked for
  Clock::time_point at;                                   // when the step thread handed it over
};

}  // namespace millrace::server
