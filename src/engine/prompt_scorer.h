// Gathers the log probabilities of one prompt's tokens while the prompt is computed.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/error.h"
#include "engine/prompt_logprobs.h"
#include "text/token.h"

namespace millrace {

// The row of logits at a position says how likely the token after it is: that of the prompt's last
// token says nothing of the prompt. Positions come in order, but a prompt whose memory was taken
// away begins again: what comes a second time is passed over.
class PromptScorer {
 public:
  // `prompt` must outlive the scorer. The `best_each` likeliest are listed in each token's place.
  PromptScorer(std::span<const TokenId> prompt, int best_each);
  // Takes the memory that the result needs: megabytes for a long prompt, so not while it waits.
  void prepare();

  // Of positions [0, scored()) no row is needed any more.
  std::int64_t scored() const { return scored_; }
  // How many positions of the prompt have a row that says something of it.
  std::int64_t rows() const { return std::ssize(prompt_) - 1; }
  bool complete() const { return scored_ == rows(); }
  // Is there any among `count` positions from `first` on whose row is needed?
  bool wants(std::int64_t first, std::int64_t count) const {
    return first + count > scored_ && first < rows() && !complete();
  }

  // The row of a position, logits [vocab]. Rows of one step may be judged on several threads.
  void judge(std::int64_t position, std::span<const float> logits);
  // All positions before `end` have been judged. Fails if one of their rows held a NaN.
  Status advance(std::int64_t end);

  // Once complete.
  std::shared_ptr<const PromptLogprobs> result() const { return result_; }

 private:
  std::span<const TokenId> prompt_;
  std::int64_t scored_ = 0;
  std::shared_ptr<PromptLogprobs> result_ = std::make_shared<PromptLogprobs>();
};

}  // namespace millrace
