#include "text/tokenizer.h"

#include <algorithm>

#include "text/tokenizer_parts.h"
#include "text/tokenizer_utf8.h"

namespace millrace {
namespace {

constexpr std::size_t kMaxTextBytes = std::size_t{1} << 30;
constexpr std::uint8_t kAdded = 1, kSpecial = 2;

}  // namespace

struct Tokenizer::Data {
  TokenTable table;
  BytePairModel model;
  Pretokenizer pretokenizer;
  AddedTokenMatcher raw, normalized;  // looked for in this order
  std::vector<std::uint8_t> flags;    // by id
  std::vector<TokenId> before, after;
  std::optional<TokenId> bos, eos, pad;

  bool flag(TokenId token, std::uint8_t which) const {
    return token >= 0 && static_cast<std::size_t>(token) < flags.size() &&
           (flags[static_cast<std::size_t>(token)] & which);
  }
};

Result<Tokenizer> Tokenizer::build(TokenizerParts parts) {
  TokenTable table;
  for (const auto& [text, id] : parts.vocabulary) MILLRACE_TRY(table.add(text, id));
  BytePairModel model =
      MILLRACE_TRY(BytePairModel::build(table, parts.merges, parts.ignore_merges));
  if (parts.needs_every_byte && !model.knows_every_byte())
    return fail(ErrorCode::Unsupported,
                "unk_token or byte_fallback with a vocabulary that lacks some of the 256 bytes");

  std::vector<AddedToken> raw, normalized;
  std::vector<std::uint8_t> flags;
  std::unordered_map<std::string, std::size_t> last;
  for (std::size_t i = 0; i < parts.added.size(); ++i) last[parts.added[i].text] = i;
  for (std::size_t i = 0; i < parts.added.size(); ++i) {
    AddedToken& token = parts.added[i];
    if (token.text.size() > kMaxAddedTokenBytes)
      return fail(ErrorCode::TooLarge, "added token {}: {} bytes, the limit is {}", token.id,
                  token.text.size(), kMaxAddedTokenBytes);
    const TokenId known = table.id_of(token.text);
    if (known >= 0 && known != token.id)
      return fail(ErrorCode::Corrupt, "added token \"{}\": found id {}, expected {}", token.text,
                  token.id, known);
    if (known < 0) MILLRACE_TRY(table.add(token.text, token.id));
    if (last[token.text] != i) continue;
    const auto index = static_cast<std::size_t>(token.id);
    if (index >= flags.size()) flags.resize(index + 1);
    flags[index] = static_cast<std::uint8_t>(kAdded | (token.special ? kSpecial : 0));
    (token.normalized ? normalized : raw).push_back(std::move(token));
  }
  const auto check_ids = [&](const auto& ids, std::string_view what) -> Status {
    for (const TokenId id : ids)
      if (table.text(id).empty())
        return fail(ErrorCode::Corrupt, "{}: found id {}, which is no token", what, id);
    return {};
  };
  MILLRACE_TRY(check_ids(parts.before, "token before a text"));
  MILLRACE_TRY(check_ids(parts.after, "token after a text"));
  for (const auto& [id, what] :
       {std::pair{parts.bos, "bos"}, std::pair{parts.eos, "eos"}, std::pair{parts.pad, "pad"}})
    if (id && table.text(*id).empty())
      return fail(ErrorCode::Corrupt, "{}: found id {}, which is no token", what, *id);

  return Tokenizer(std::make_shared<const Data>(Data{
      .table = std::move(table),
      .model = std::move(model),
      .pretokenizer = std::move(parts.pretokenizer),
      .raw = AddedTokenMatcher(std::move(raw)),
      .normalized = AddedTokenMatcher(std::move(normalized)),
      .flags = std::move(flags),
      .before = std::move(parts.before),
      .after = std::move(parts.after),
      .bos = parts.bos,
      .eos = parts.eos,
      .pad = parts.pad,
  }));
}

Result<std::vector<TokenId>> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
  if (text.size() > kMaxTextBytes)
    return fail(ErrorCode::TooLarge, "a text of {} bytes, the limit is {}", text.size(),
                kMaxTextBytes);
  std::string replaced;
  if (utf8::valid_prefix(text) != text.size()) {
    utf8::append_lossy(text, replaced);
    text = replaced;
  }
  const Data& data = *data_;
  std::vector<TokenId> tokens;
  tokens.reserve(text.size() / 4 + 8);
  if (options.add_special_tokens) tokens = data.before;

  BytePairModel::Scratch scratch;
  Status status;
  const std::function<void(std::string_view)> word = [&](std::string_view piece) {
    data.model.encode(data.table, piece, scratch, tokens);
  };
  const auto words = [&](std::string_view part) {
    if (status) status = data.pretokenizer.for_each_word(part, word);
  };
  const auto cut = [&](const AddedTokenMatcher& matcher, const auto& otherwise) {
    return [&](std::string_view part) {
      if (matcher.empty()) return otherwise(part);
      matcher.split(part, options.parse_special, [&](std::string_view piece, TokenId token) {
        if (token >= 0)
          tokens.push_back(token);
        else
          otherwise(piece);
      });
    };
  };
  cut(data.raw, cut(data.normalized, words))(text);
  if (!status) return tl::unexpected<Error>(std::move(status).error());
  if (options.add_special_tokens) tokens.insert(tokens.end(), data.after.begin(), data.after.end());
  return tokens;
}

std::string Tokenizer::decode(std::span<const TokenId> tokens, DecodeOptions options) const {
  std::string bytes;
  for (const TokenId token : tokens)
    if (!options.skip_special_tokens || !is_special(token)) bytes.append(token_bytes(token));
  if (utf8::valid_prefix(bytes) == bytes.size()) return bytes;
  std::string text;
  utf8::append_lossy(bytes, text);
  return text;
}

std::string_view Tokenizer::token_bytes(TokenId token) const {
  return data_->table.bytes(token);
}
std::string_view Tokenizer::token_text(TokenId token) const {
  return data_->table.text(token);
}

std::optional<TokenId> Tokenizer::id_of(std::string_view token_text) const {
  const TokenId id = data_->table.id_of(token_text);
  return id < 0 ? std::nullopt : std::optional(id);
}

bool Tokenizer::is_special(TokenId token) const {
  return data_->flag(token, kSpecial);
}
bool Tokenizer::is_added(TokenId token) const {
  return data_->flag(token, kAdded);
}
TokenId Tokenizer::vocab_size() const {
  return data_->table.size();
}
std::optional<TokenId> Tokenizer::bos() const {
  return data_->bos;
}
std::optional<TokenId> Tokenizer::eos() const {
  return data_->eos;
}
std::optional<TokenId> Tokenizer::pad() const {
  return data_->pad;
}
bool Tokenizer::adds_bos() const {
  return !data_->before.empty() && data_->bos == data_->before.front();
}

}  // namespace millrace
