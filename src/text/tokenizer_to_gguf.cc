// A folder's tokenizer into GGUF's "tokenizer.ggml.*".
#include "text/tokenizer.h"
#include "text/tokenizer_gguf_types.h"
#include "text/tokenizer_parts.h"
#include "text/tokenizer_table.h"

namespace millrace {
namespace {

Status place_tokens(const TokenizerParts& parts, TokenId rows, GgufTokenizer& out) {
  out.tokens.resize(static_cast<std::size_t>(rows));
  out.token_types.assign(out.tokens.size(), kGgufUnused);
  const auto place = [&](const std::string& text, TokenId id, std::int32_t type) -> Status {
    if (id < 0 || id >= rows)
      return fail(ErrorCode::Corrupt, "token \"{}\": found id {}, the model has {} rows", text, id,
                  rows);
    out.tokens[static_cast<std::size_t>(id)] = text;
    out.token_types[static_cast<std::size_t>(id)] = type;
    return {};
  };
  for (const auto& [text, id] : parts.vocabulary) MILLRACE_TRY(place(text, id, kGgufNormal));
  // Of two with one text the last counts, as when they are read.
  for (const AddedToken& token : parts.added)
    MILLRACE_TRY(place(token.text, token.id, token.special ? kGgufControl : kGgufUserDefined));
  for (std::size_t i = 0; i < out.tokens.size(); ++i)
    if (out.token_types[i] == kGgufUnused) out.tokens[i] = fmt::format("[PAD{}]", i);
  return {};
}

// Whether a text gets this token at its end or beginning: all that GGUF can say.
Result<bool> puts(const std::vector<TokenId>& around, std::optional<TokenId> token,
                  std::string_view name) {
  if (around.empty()) return false;
  if (around.size() == 1 && token == around[0]) return true;
  return fail(ErrorCode::Unsupported,
              "post_processor: found {} tokens at one end of a text, GGUF files can have {} alone",
              around.size(), name);
}

std::vector<std::string> lost_flags(const std::vector<AddedToken>& added) {
  std::vector<std::string> lost;
  for (const AddedToken& token : added)
    for (const auto& [set, name] : {std::pair{token.lstrip, "lstrip"},
                                    {token.rstrip, "rstrip"},
                                    {token.single_word, "single_word"}})
      if (set) lost.push_back(fmt::format("added token \"{}\": {}", token.text, name));
  return lost;
}

Status fill(const TokenizerParts& parts, TokenId rows, GgufTokenizer& out) {
  const auto pre = parts.pretokenizer.gguf_name();
  // The name alone says whether a word that is a token skips the merges.
  if (!pre || parts.ignore_merges != (*pre == "lfm2"))
    return fail(ErrorCode::Unsupported,
                "pre_tokenizer: GGUF files have no name for it (known: LFM2's with ignore_merges, "
                "and GPT-2's without)");
  out.model = "gpt2";
  out.pre = *pre;
  MILLRACE_TRY(place_tokens(parts, rows, out));
  for (const auto& [left, right] : parts.merges) {
    if ((left + right).find(' ') != std::string::npos)
      return fail(ErrorCode::Unsupported, "model.merges: found a space inside \"{}\"",
                  left + right);
    out.merges.push_back(left + " " + right);
  }
  // Without a tokenizer_config.json a token put around a text has no name: it is bos, or eos.
  const auto named = [](std::optional<TokenId> token, const std::vector<TokenId>& around) {
    return token || around.size() != 1 ? token : around[0];
  };
  const std::optional<TokenId> bos = named(parts.bos, parts.before);
  const std::optional<TokenId> eos = named(parts.eos, parts.after);
  out.bos_id = bos;
  out.eos_id = eos;
  out.padding_id = parts.pad;
  out.add_bos = MILLRACE_TRY(puts(parts.before, bos, "bos"));
  out.add_eos = MILLRACE_TRY(puts(parts.after, eos, "eos"));
  return {};
}

}  // namespace

Result<GgufTokenizerExport> export_gguf_tokenizer(const std::string& folder, TokenId rows) {
  const TokenizerParts parts = MILLRACE_TRY(read_tokenizer_folder(folder));
  GgufTokenizerExport out;
  if (const Status status = fill(parts, rows, out.tokenizer); !status)
    return fail_in(fmt::format("{}/tokenizer.json", folder), status.error());
  out.lost = lost_flags(parts.added);
  return out;
}

}  // namespace millrace
