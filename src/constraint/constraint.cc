#include "constraint/constraint.h"

#include <algorithm>

#include "base/check.h"

namespace millrace {

ConstraintState::ConstraintState(std::shared_ptr<const Constraint> constraint)
    : constraint_(std::move(constraint)) {
  const Constraint& c = *constraint_;
  if (c.answer) answer_ = c.answer->matcher();
  if (c.starts_in_thought && c.thought_end >= 0)
    place_ = Place::Thought;
  else if (c.answer)
    place_ = c.thought_begin >= 0 ? Place::Start : Place::Answer;
  else
    place_ = Place::Free;
}

bool ConstraintState::is_end(TokenId token) const {
  const auto& ends = constraint_->ends;
  return std::find(ends.begin(), ends.end(), token) != ends.end();
}

TokenMatcher* ConstraintState::matcher() {
  switch (place_) {
    case Place::Start:
    case Place::Answer:
      return answer_.get();
    case Place::Call:
      return calls_.back().get();
    case Place::Thought:
    case Place::Free:
    case Place::Done:
      return nullptr;
  }
  return nullptr;
}

bool ConstraintState::binds() const {
  if (std::ssize(steps_) < constraint_->min_tokens) return true;
  return !(place_ == Place::Free || (place_ == Place::Thought && !constraint_->answer));
}

bool ConstraintState::is_over() const {
  return !binds() && place_ == Place::Free && !may_begin_call();
}

void ConstraintState::fill_free(TokenMask mask, bool ends, bool call) const {
  std::fill(mask.begin(), mask.end(), ~std::uint32_t{0});
  if (!ends)
    for (const TokenId end : constraint_->ends) mask_set(mask, end, false);
  if (!call && constraint_->call_begin >= 0) mask_set(mask, constraint_->call_begin, false);
}

void ConstraintState::fill(TokenMask mask) {
  const Constraint& c = *constraint_;
  const bool early = std::ssize(steps_) < c.min_tokens;
  switch (place_) {
    case Place::Thought:
      // With a grammar for the answer nothing may come before the thought has ended.
      return fill_free(mask, !c.answer && !early, !c.answer && may_begin_call());
    case Place::Free:
      return fill_free(mask, !early, true);
    case Place::Done:
      std::fill(mask.begin(), mask.end(), 0);
      for (const TokenId end : c.ends) mask_set(mask, end, true);
      return;
    case Place::Start:
    case Place::Answer:
    case Place::Call:
      break;
  }
  matcher()->fill(mask);
  if (place_ == Place::Start) mask_set(mask, c.thought_begin, true);
  // Either the answer or calls, as long as neither has begun.
  const bool begun = !steps_.empty() && steps_.back().matched;
  if (place_ != Place::Call && may_begin_call() && !begun) mask_set(mask, c.call_begin, true);
  if (!early || place_ == Place::Call) return;
  for (const TokenId end : c.ends) mask_set(mask, end, false);
  // Nothing else may come: a text that is complete need not be long.
  if (std::all_of(mask.begin(), mask.end(), [](std::uint32_t word) { return word == 0; }))
    matcher()->fill(mask);
}

bool ConstraintState::accept(TokenId token) {
  const Constraint& c = *constraint_;
  Step step = {.before = place_, .matched = false};
  const bool begins_call = token == c.call_begin && may_begin_call();
  const bool begun = !steps_.empty() && steps_.back().matched;
  const auto open_call = [&] {
    calls_.push_back(c.calls->matcher());
    step.opened = true;
    place_ = Place::Call;
  };
  switch (place_) {
    case Place::Thought:
      if (c.answer && (is_end(token) || token == c.call_begin)) return false;
      if (token == c.thought_end)
        place_ = c.answer ? Place::Answer : Place::Free;
      else if (begins_call)
        open_call();
      break;
    case Place::Free:
      if (begins_call) open_call();
      break;
    case Place::Done:
      if (!is_end(token)) return false;
      break;
    case Place::Start:
    case Place::Answer:
      if (place_ == Place::Start && token == c.thought_begin) {
        place_ = Place::Thought;
      } else if (begins_call && !begun) {
        open_call();
      } else {
        if (!answer_->accept(token)) return false;
        step.matched = true;
        place_ = Place::Answer;
      }
      break;
    case Place::Call:
      if (!calls_.back()->accept(token)) return false;
      step.matched = true;
      if (calls_.back()->is_complete()) place_ = c.answer || c.one_call ? Place::Done : Place::Free;
      break;
  }
  steps_.push_back(step);
  return true;
}

void ConstraintState::rollback(int tokens) {
  check(tokens >= 0 && tokens <= std::ssize(steps_), "more tokens are taken back than were taken");
  for (; tokens > 0; --tokens) {
    const Step step = steps_.back();
    steps_.pop_back();
    place_ = step.before;
    if (step.matched) matcher()->rollback(1);
    if (step.opened) calls_.pop_back();
  }
}

}  // namespace millrace
