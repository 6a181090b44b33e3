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

}  // namespace millrace::server
