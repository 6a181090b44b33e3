// What an answer must look like, and where in it that is asked: the whole answer, the calls in it,
// or both; behind a thought, which is free. Grammar and state are apart: a constraint is compiled
// once, each answer walks through it on its own.
#pragma once

#include <memory>
#include <vector>

#include "constraint/token_grammar.h"

namespace millrace {

struct Constraint {
  // Of the answer, from its first token on, or from behind its thought.
  std::shared_ptr<const TokenGrammar> answer;
  // Of what stands between the marks of calls, the end mark included; from the begin mark on,
  // each time it comes. With `answer` too, the answer is either.
  std::shared_ptr<const TokenGrammar> calls;
  bool one_call = false;  // nothing but the end may follow calls
  TokenId call_begin = -1;

  // An answer may begin with a thought, or the prompt has opened one. -1: this model has none.
  TokenId thought_begin = -1, thought_end = -1;
  bool starts_in_thought = false;

  // No end of turn before the answer has as many tokens, unless nothing else may come.
  std::int64_t min_tokens = 0;
  std::vector<TokenId> ends;  // of a turn, stop tokens of the request among them
  std::int64_t vocab = 0;
};

// How far an answer has come. One thread at a time.
class ConstraintState {
 public:
  explicit ConstraintState(std::shared_ptr<const Constraint> constraint);

  // Only some tokens may come next: fill() says which. Where it is false, all may.
  bool binds() const;
  // True where binds() will be false for the rest of the answer.
  bool is_over() const;

  void fill(TokenMask mask);
  // False, with nothing changed, for a token that may not come.
  bool accept(TokenId token);
  // Takes back as many accepted tokens, at most as many as were accepted: drafts that a model did
  // not confirm.
  void rollback(int tokens);

 private:
  enum class Place {
    Start,    // of an answer that may begin with a thought
    Thought,  // free but for ends, which would leave the answer out
    Free,     // no grammar binds; a call may begin
    Answer,
    Call,
    Done,  // nothing but an end may come
  };
  struct Step {
    Place before;
    bool matched;         // by the matcher of its place
    bool opened = false;  // a matcher for calls
  };

  bool is_end(TokenId token) const;
  bool may_begin_call() const { return constraint_->calls != nullptr; }
  TokenMatcher* matcher();
  void fill_free(TokenMask mask, bool ends, bool call) const;

  std::shared_ptr<const Constraint> constraint_;
  std::unique_ptr<TokenMatcher> answer_;
  std::vector<std::unique_ptr<TokenMatcher>> calls_;  // one for each block of calls begun
  Place place_;
  std::vector<Step> steps_;
};

}  // namespace millrace
