// GGUF's "tokenizer.ggml.*" into parts.
#include <algorithm>

#include "text/tokenizer.h"
#include "text/tokenizer_gguf_types.h"
#include "text/tokenizer_parts.h"
#include "text/tokenizer_utf8.h"

namespace millrace {
namespace {

// What a name of a pre-tokenizer stands for.
struct PreTokenizer {
  std::string_view name;
  bool llama3;  // the Llama-3 split, ignore_merges and a bos; else GPT-2's split and neither
};
constexpr PreTokenizer kPreTokenizers[] = {
    {"lfm2", true},     {"llama-bpe", true}, {"llama3", true},
    {"llama-v3", true}, {"gpt-2", false},    {"gpt2", false},
};

Status read_tokens(const GgufTokenizer& gguf, TokenizerParts& parts) {
  if (gguf.tokens.size() > static_cast<std::size_t>(kMaxTokens))
    return fail(ErrorCode::TooLarge, "tokens: found {}, the limit is {}", gguf.tokens.size(),
                kMaxTokens);
  if (!gguf.token_types.empty() && gguf.token_types.size() != gguf.tokens.size())
    return fail(ErrorCode::Corrupt, "token_type: found {} entries for {} tokens",
                gguf.token_types.size(), gguf.tokens.size());
  for (std::size_t i = 0; i < gguf.tokens.size(); ++i) {
    const std::string& text = gguf.tokens[i];
    const auto id = static_cast<TokenId>(i);
    const std::int32_t type = gguf.token_types.empty() ? kGgufNormal : gguf.token_types[i];
    switch (type) {
      case kGgufUnused:
        continue;
      case kGgufControl:
      case kGgufUserDefined:
        parts.added.push_back({.text = text, .id = id, .special = type == kGgufControl});
        break;
      case kGgufNormal:
      case kGgufUnknown:
        break;
      default:
        return fail(ErrorCode::Unsupported, "token_type[{}]: found {}, expected 1 to 5", i, type);
    }
    parts.vocabulary.emplace_back(text, id);
  }
  return {};
}

Status read_merges(const GgufTokenizer& gguf, TokenizerParts& parts) {
  for (std::size_t i = 0; i < gguf.merges.size(); ++i) {
    const std::string& line = gguf.merges[i];
    const std::size_t space = line.find(' ');
    if (space == std::string::npos || line.find(' ', space + 1) != std::string::npos)
      return fail(ErrorCode::Corrupt, "merges[{}]: found {} bytes, expected two words and a space",
                  i, line.size());
    parts.merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  return {};
}

Result<std::optional<TokenId>> checked_id(std::optional<std::int64_t> id, std::string_view key) {
  if (!id) return std::nullopt;
  if (*id < 0 || *id >= kMaxTokens)
    return fail(ErrorCode::Corrupt, "{}: found {}, which is no token", key, *id);
  return static_cast<TokenId>(*id);
}

Status read_gguf(const GgufTokenizer& gguf, TokenizerParts& parts) {
  if (gguf.model != "gpt2")
    return fail(ErrorCode::Unsupported, "model: found \"{}\", expected \"gpt2\"", gguf.model);
  const auto* pre = std::find_if(std::begin(kPreTokenizers), std::end(kPreTokenizers),
                                 [&](const PreTokenizer& known) { return known.name == gguf.pre; });
  if (pre == std::end(kPreTokenizers))
    return fail(ErrorCode::Unsupported, "pre: found \"{}\", expected lfm2, llama-bpe or gpt-2",
                gguf.pre);
  parts.pretokenizer = pre->llama3 ? Pretokenizer::llama3() : Pretokenizer::gpt2();
  parts.ignore_merges = pre->llama3;
  MILLRACE_TRY(read_tokens(gguf, parts));
  MILLRACE_TRY(read_merges(gguf, parts));
  parts.bos = MILLRACE_TRY(checked_id(gguf.bos_id, "bos_token_id"));
  parts.eos = MILLRACE_TRY(checked_id(gguf.eos_id, "eos_token_id"));
  parts.pad = MILLRACE_TRY(checked_id(gguf.padding_id, "padding_token_id"));
  if (gguf.add_bos.value_or(pre->llama3) && parts.bos) parts.before.push_back(*parts.bos);
  if (gguf.add_eos.value_or(false) && parts.eos) parts.after.push_back(*parts.eos);
  return {};
}

}  // namespace

Result<Tokenizer> Tokenizer::from_gguf(const GgufTokenizer& gguf, std::string_view origin) {
  const std::string context = fmt::format("{}: tokenizer.ggml", origin);
  TokenizerParts parts;
  if (const Status s = read_gguf(gguf, parts); !s) return fail_in(context, s.error());
  auto tokenizer = build(std::move(parts));
  if (!tokenizer) return fail_in(context, tokenizer.error());
  return tokenizer;
}

}  // namespace millrace
