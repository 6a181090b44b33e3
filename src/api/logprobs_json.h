// Log probabilities as OpenAI's APIs show them.
#pragma once

#include "api/renderer.h"
#include "engine/sampling.h"

namespace millrace::server {

// chat: {"token", "logprob", "bytes", "top_logprobs"}
Json chat_logprob(const SampledToken& token, const Tokenizer* tokenizer);

// completions: {"tokens", "token_logprobs", "top_logprobs", "text_offset"} of a row of tokens whose
// text begins `offset` characters into the answer; moves `offset` on.
Json completion_logprobs(std::span<const SampledToken> tokens, const Tokenizer* tokenizer,
                         std::int64_t& offset);

// The same of a prompt whose text is echoed as `text`: of its first token, and of all where
// `scored` is null, no log probability is known. The `each` likeliest are shown.
Json echoed_logprobs(std::span<const TokenId> prompt, const PromptLogprobs* scored, int each,
                     std::string_view text, const Tokenizer* tokenizer);
// How many characters of UTF-8 that is.
std::int64_t characters(std::string_view text);

// vLLM's prompt_logprobs: null for the first token, then {id: {"logprob", "rank",
// "decoded_token"}} with each token and the `each` likeliest. Null if `scored` is.
Json prompt_logprobs_json(std::span<const TokenId> prompt, const PromptLogprobs* scored, int each,
                          const Tokenizer* tokenizer);

}  // namespace millrace::server
