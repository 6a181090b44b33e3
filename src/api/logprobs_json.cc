#include "api/logprobs_json.h"

#include <algorithm>

namespace millrace::server {
namespace {

// JSON has no infinity; OpenAI writes this for what cannot be.
double shown(float logprob) {
  return std::max(static_cast<double>(logprob), -9999.0);
}

std::string text_of(TokenId token, const Tokenizer* tokenizer) {
  if (!tokenizer) return "token_id:" + std::to_string(token);
  return tokenizer->decode(std::span(&token, 1), {.skip_special_tokens = false});
}

Json entry(TokenId token, float logprob, const Tokenizer* tokenizer) {
  Json bytes;
  if (tokenizer) {
    bytes = Json::array();
    for (const char c : tokenizer->token_bytes(token))
      bytes.push_back(static_cast<int>(static_cast<unsigned char>(c)));
  }
  return {{"token", text_of(token, tokenizer)},
          {"logprob", shown(logprob)},
          {"bytes", std::move(bytes)}};
}

}  // namespace

Json chat_logprob(const SampledToken& token, const Tokenizer* tokenizer) {
  Json json = entry(token.token, token.logprob, tokenizer);
  Json top = Json::array();
  for (const TokenLogprob& best : token.best)
    top.push_back(entry(best.token, best.logprob, tokenizer));
  json["top_logprobs"] = std::move(top);
  return json;
}

Json completion_logprobs(std::span<const SampledToken> tokens, const Tokenizer* tokenizer,
                         std::int64_t& offset) {
  Json texts = Json::array(), values = Json::array(), tops = Json::array(), at = Json::array();
  for (const SampledToken& token : tokens) {
    const std::string text = text_of(token.token, tokenizer);
    at.push_back(offset);
    // In characters, not bytes.
    offset += std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
    texts.push_back(text);
    values.push_back(shown(token.logprob));
    Json top = Json::object();
    for (const TokenLogprob& best : token.best)
      top[text_of(best.token, tokenizer)] = shown(best.logprob);
    top[text] = shown(token.logprob);
    tops.push_back(std::move(top));
  }
  return {{"tokens", std::move(texts)},
          {"token_logprobs", std::move(values)},
          {"top_logprobs", std::move(tops)},
          {"text_offset", std::move(at)}};
}

}  // namespace millrace::server
