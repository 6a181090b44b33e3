// A request that the engine works on: how its tokens are chosen, and what becomes of them.
#pragma once

#include <optional>

#include "engine/answer_state.h"
#include "engine/prompt_scorer.h"
#include "engine/runner.h"
#include "engine/sampler.h"
#include "engine/sequence.h"
#include "engine/stop_matcher.h"
#include "text/detokenizer.h"

namespace millrace {

struct Running final : Sequence {
  std::shared_ptr<Answer::State> state;
  SampleRow sample;                // how steps choose its tokens; else `sampler` does
  std::optional<Sampler> sampler;  // made when its first token is near
  bool samples_on_host = false;
  std::optional<Detokenizer> detokenizer;
  std::optional<StopMatcher> stops;
  std::unique_ptr<MaskJob> mask;       // with a constraint
  std::optional<Pool> pool;            // where an embedding is wanted, no answer
  std::optional<PromptScorer> scorer;  // where the prompt's own tokens are judged
  bool refused = false;                // the token just chosen is one that the mask rules out
  bool scheduled = true;               // the scheduler knows it: more steps are to come
  bool ended = false;                  // the answer has; steps in flight may still use its memory
  std::unique_ptr<Lease> lease;        // its memory, once it is not scheduled any more
  std::int64_t admissions_seen = 0;    // that the engine has prepared it for
  std::vector<TokenId> step_tokens;    // the last token and the guesses that a step checks
  std::vector<SampledToken> taken;     // of the step that ended

  // Will there be tokens after the prompt?
  bool answers() const { return !pool && !state->request.prompt_only; }
  // Rows of the prompt before this position have logits that somebody waits for.
  std::int64_t logits_until() const { return scorer && !scorer->complete() ? scorer->rows() : 0; }
  // The scorer has seen a row, or all there are.
  void note_scores();
  // Has it been too long?
  bool is_late() const;
  // Is ready for its first step.
  void prepare(const LoadedModel& files);
  // A token of the answer, told to whoever asked; true if the answer ends with it.
  bool accept(const SampledToken& sampled, const LoadedModel& files,
              const std::vector<TokenId>& ends_of_turn);
};

// `seed` is used when the request brings none.
std::unique_ptr<Running> make_running(RequestId id, std::shared_ptr<Answer::State> state,
                                      std::int64_t context, std::uint64_t seed);

}  // namespace millrace
