#include "api/logprobs_json.h"

#include <algorithm>

#include "base/json.h"

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

std::int64_t characters(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
}

Json completion_logprobs(std::span<const SampledToken> tokens, const Tokenizer* tokenizer,
                         std::int64_t& offset) {
  Json texts = Json::array(), values = Json::array(), tops = Json::array(), at = Json::array();
  for (const SampledToken& token : tokens) {
    const std::string text = text_of(token.token, tokenizer);
    at.push_back(offset);
    offset += characters(text);
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

Json echoed_logprobs(std::span<const TokenId> prompt, const PromptLogprobs* scored, int each,
                     std::string_view text, const Tokenizer* tokenizer) {
  Json texts = Json::array(), values = Json::array(), tops = Json::array(), at = Json::array();
  std::string_view left = text;
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < prompt.size(); ++i) {
    at.push_back(offset);
    const std::string_view bytes = tokenizer ? tokenizer->token_bytes(prompt[i]) : "";
    // What the text does not show, such as a beginning of text that was added, takes no room in it.
    if (left.starts_with(bytes)) {
      offset += characters(bytes);
      left.remove_prefix(bytes.size());
    } else if (constexpr std::string_view kReplaced = "\xEF\xBF\xBD";
               left.starts_with(kReplaced) && tokenizer && !tokenizer->is_special(prompt[i])) {
      ++offset;  // a part of a character, whose other parts are missing
      left.remove_prefix(kReplaced.size());
    }
    std::string shown_text = text_of(prompt[i], tokenizer);
    Json value, top;
    if (i > 0 && scored) {
      const double own = shown(scored->tokens[i - 1].logprob);
      value = own;
      top = Json::object();
      for (const TokenLogprob& best : scored->best_of(i - 1).first(static_cast<std::size_t>(each)))
        top[text_of(best.token, tokenizer)] = shown(best.logprob);
      top[shown_text] = own;
    }
    texts.push_back(std::move(shown_text));
    values.push_back(std::move(value));
    tops.push_back(std::move(top));
  }
  return {{"tokens", std::move(texts)},
          {"token_logprobs", std::move(values)},
          {"top_logprobs", std::move(tops)},
          {"text_offset", std::move(at)}};
}

Json prompt_logprobs_json(std::span<const TokenId> prompt, const PromptLogprobs* scored, int each,
                          const Tokenizer* tokenizer) {
  if (!scored) return nullptr;
  Json list = Json::array({nullptr});
  for (std::size_t i = 1; i < prompt.size(); ++i) {
    const auto entry = [&](TokenId token, float logprob, std::int64_t rank) -> Json {
      return {{"logprob", shown(logprob)},
              {"rank", rank},
              {"decoded_token", text_of(token, tokenizer)}};
    };
    const PromptLogprobs::Scored& own = scored->tokens[i - 1];
    Json all = Json::object();
    all[std::to_string(prompt[i])] = entry(prompt[i], own.logprob, own.rank);
    std::int64_t rank = 0;
    for (const TokenLogprob& best : scored->best_of(i - 1).first(static_cast<std::size_t>(each)))
      if (++rank; best.token != prompt[i])
        all[std::to_string(best.token)] = entry(best.token, best.logprob, rank);
    list.push_back(std::move(all));
  }
  return list;
}

}  // namespace millrace::server
