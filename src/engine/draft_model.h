// A second, smaller model whose likeliest tokens are guesses for the first: see draft.h.
#pragma once

#include <memory>

#include "engine/draft.h"
#include "engine/parts.h"

namespace millrace {

// Has a sequence for each request that guesses. Used on one thread, the engine's.
class DraftModel {
 public:
  // Loads `options.draft_model` for an engine of these options, whose files are `model`. Its
  // device, context and number of sequences are the engine's. An error where their tokens are not
  // the same.
  static Result<std::shared_ptr<DraftModel>> open(const EngineOptions& options,
                                                  const LoadedModel& model);

  // Of the device's memory, for weights, caches and workspace.
  std::int64_t bytes() const { return bytes_; }

  // Keeps the draft model. It guesses nothing where there is no memory left for its sequence, or
  // the text is longer than the draft model's context.
  static std::unique_ptr<Drafter> make_drafter(std::shared_ptr<DraftModel> model,
                                               std::int64_t most_tokens);

 private:
  class ModelDrafter;

  DraftModel(std::unique_ptr<EngineParts> parts, std::int64_t bytes)
      : parts_(std::move(parts)), bytes_(bytes) {}
  // Appends to the memory, and returns the likeliest token that follows if there is one to be had.
  std::optional<TokenId> run(SequenceMemory& memory, std::span<const TokenId> tokens);

  std::unique_ptr<EngineParts> parts_;
  std::int64_t bytes_;
};

}  // namespace millrace
