#include "engine/running.h"

#include <algorithm>
#include <limits>

namespace millrace {

void Answer::State::end_with(const TokenEvent& event) {
  if (callback) callback(event);
  callback = nullptr;
  ended.store(true, std::memory_order_release);
  ended.notify_all();
}

void Answer::State::end(FinishReason reason, std::string error) {
  completion.finish = reason;
  completion.error = std::move(error);
  completion.usage.total_seconds = seconds_since(submitted);
  end_with({std::nullopt, "", reason, &completion, completion.prompt_logprobs});
}

std::unique_ptr<Running> make_running(RequestId id, std::shared_ptr<Answer::State> state,
                                      std::int64_t context, std::uint64_t seed) {
  const Request& request = state->request;
  auto running = std::make_unique<Running>();
  running->id = id;
  running->salt = request.cache_salt;
  running->prompt_length = std::ssize(request.prompt);
  running->max_length = request.max_tokens > 0
                            ? std::min(context, running->prompt_length + request.max_tokens)
                            : context;
  running->tokens = request.prompt;
  running->sample = sample_row_of(request.sampling, seed);
  running->state = std::move(state);
  running->mask = std::move(running->state->mask);
  if (request.pooling) {
    running->max_length = running->prompt_length + 1;
    running->pool.emplace(*request.pooling);
    // Of what is cached there are no states.
    if (*request.pooling == Pooling::Mean) running->most_cached = 0;
  }
  if (request.prompt_only) running->max_length = running->prompt_length + 1;
  if (request.prompt_logprobs) {
    running->scorer.emplace(request.prompt, *request.prompt_logprobs);
    running->note_scores();
  }
  return running;
}

void Running::note_scores() {
  const bool complete = scorer->complete();
  most_cached = complete ? std::numeric_limits<std::int64_t>::max() : scorer->scored();
  if (complete) state->completion.prompt_logprobs = scorer->result();
}

bool Running::is_late() const {
  const double most = state->request.timeout_seconds;
  return most > 0 && seconds_since(state->submitted) > most;
}

void Running::prepare(const LoadedModel& files) {
  if (stops) return;
  const Request& request = state->request;
  tokens.reserve(static_cast<std::size_t>(max_length));
  const auto answer_length = static_cast<std::size_t>(max_length - prompt_length);
  state->completion.tokens.reserve(answer_length);
  state->completion.text.reserve(answer_length * 6);  // more than tokens of text are long
  stops.emplace(request.stop);
  if (scorer) scorer->prepare();
  if (samples_on_host) {
    sampler.emplace(request.sampling, files.config.vocab, sample.seed, mask != nullptr);
    sampler->observe_prompt(request.prompt);
  }
  // Which special tokens are left out is decided token by token.
  if (files.tokenizer)
    detokenizer.emplace(*files.tokenizer, DecodeOptions{.skip_special_tokens = false});
}

bool Running::accept(const SampledToken& sampled, const LoadedModel& files,
                     const std::vector<TokenId>& ends_of_turn) {
  const Request& request = state->request;
  Completion& completion = state->completion;
  const TokenId token = sampled.token;
  const bool first = completion.usage.completion_tokens++ == 0;
  if (first) completion.usage.first_token_seconds = seconds_since(state->submitted);
  std::shared_ptr<const PromptLogprobs> of_prompt;
  if (first) of_prompt = completion.prompt_logprobs;
  tokens.push_back(token);
  completion.tokens.push_back(token);

  const auto contains = [&](const std::vector<TokenId>& list) {
    return std::find(list.begin(), list.end(), token) != list.end();
  };
  const bool ends_turn =
      (!request.ignore_eos && contains(ends_of_turn)) || contains(request.stop_tokens);
  std::string text;
  const bool hidden = request.skip_special_tokens && files.tokenizer &&
                      files.tokenizer->is_special(token) && !contains(request.shown_special_tokens);
  if (detokenizer && !ends_turn && !hidden) text = stops->push(detokenizer->push(token));
  std::optional<FinishReason> reason;
  if (ends_turn || stops->matched())
    reason = FinishReason::Stop;
  else if (std::ssize(tokens) >= max_length)
    reason = FinishReason::Length;
  if (reason && !stops->matched() && detokenizer) {
    text += stops->push(detokenizer->flush());
    text += stops->flush();
  }
  completion.text += text;
  if (!reason) {
    if (state->callback)
      state->callback({sampled, std::move(text), {}, nullptr, std::move(of_prompt)});
    return false;
  }
  completion.finish = *reason;
  completion.stop_string = stops->match();
  completion.usage.total_seconds = seconds_since(state->submitted);
  if (state->callback)
    state->callback({sampled, std::move(text), reason, &completion, std::move(of_prompt)});
  state->callback = nullptr;
  return true;
}

}  // namespace millrace
