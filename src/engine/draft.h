// Guesses of the tokens that come next, for steps that check several at once. A guess costs a row
// of a step if it is wrong and saves a step if it is right; it never changes an answer, since a
// token is taken only where the sampler, from the logits that the guess was checked with, draws it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "text/token.h"

namespace millrace {

// Belongs to one request; called on the engine's thread. A model of one's own can stand behind it.
class Drafter {
 public:
  virtual ~Drafter() = default;
  // Appends up to `most` guesses of what follows `tokens` (the prompt and the answer so far) to
  // `drafts`. From call to call tokens are only added.
  virtual void propose(std::span<const TokenId> tokens, std::int64_t most,
                       std::vector<TokenId>& drafts) = 0;
};

// Looks for the last tokens further up in the text, and guesses that what followed them there
// follows again: good where answers quote their prompt (code to edit, tool results, JSON). Of the
// places that agree it takes the one with the longest agreement, the latest of equals. An index of
// all places keeps this at a few comparisons a token.
class LookupDrafter final : public Drafter {
 public:
  static constexpr std::size_t kLeast = 3;  // tokens that must agree
  static constexpr int kMostPlaces = 16;    // that are looked at

  explicit LookupDrafter(std::int64_t most_tokens);

  void propose(std::span<const TokenId> tokens, std::int64_t most,
               std::vector<TokenId>& drafts) override;

 private:
  // Of the kLeast tokens before `end`.
  std::size_t bucket(std::span<const TokenId> tokens, std::size_t end) const;

  std::vector<std::int32_t> latest_;   // by bucket: where the last such tokens end; 0: nowhere
  std::vector<std::int32_t> earlier_;  // by end: the one before it in the bucket
  std::size_t indexed_ = kLeast - 1;   // ends up to this one are in the index
};

// How many tokens to guess: more after guesses that were right, fewer after wrong ones, so that
// text that cannot be guessed costs little.
class DraftLength {
 public:
  explicit DraftLength(std::int64_t most) : most_(most), next_(most < 2 ? most : 2) {}
  std::int64_t next() const { return next_; }
  void learn(std::int64_t guessed, std::int64_t right);

 private:
  std::int64_t most_;
  std::int64_t next_;
};

}  // namespace millrace
