// tokenizer.json and tokenizer_config.json into parts.
#include <charconv>
#include <filesystem>

#include "base/json.h"
#include "base/mapped_file.h"
#include "text/tokenizer.h"
#include "text/tokenizer_file.h"
#include "text/tokenizer_parts.h"

namespace millrace {
namespace {

constexpr std::size_t kMaxFileBytes = 256 << 20;
constexpr std::size_t kMaxConfigBytes = 16 << 20;

std::string_view found(const Json* value) {
  return value ? json_type_name(*value) : "nothing";
}

// The "type" of a component; null or absent is "null".
Result<std::string> component_type(const Json* component, std::string_view field) {
  if (!component) return "null";
  if (!component->is_object())
    return fail(ErrorCode::Corrupt, "{}: found {}, expected an object with a type", field,
                json_type_name(*component));
  const auto type = json_string(*component, "type");
  if (!type) return fail_in(field, type.error());
  return type->value_or("nothing");
}

Result<bool> flag(const Json& object, std::string_view key, bool otherwise) {
  return MILLRACE_TRY(json_bool(object, key)).value_or(otherwise);
}

// The list under `key`, which must be there.
Result<const Json*> list(const Json& object, std::string_view key) {
  const Json* value = json_find(object, key);
  if (!value || !value->is_array())
    return fail(ErrorCode::Corrupt, "{}: found {}, expected a list", key, found(value));
  return value;
}

Status read_model(const Json& root, TokenizerFile& file, TokenizerParts& parts) {
  const Json* model = json_find(root, "model");
  const std::string type = MILLRACE_TRY(component_type(model, "model"));
  if (type != "BPE" && !(type == "nothing" && file.vocabulary && file.merges))
    return fail(ErrorCode::Unsupported, "model.type: found {}, expected BPE", type);
  if (!file.vocabulary)
    return fail(ErrorCode::Corrupt, "model.vocab: found {}, expected an object",
                found(json_find(*model, "vocab")));
  if (!file.merges)
    return fail(ErrorCode::Corrupt, "model.merges: found {}, expected a list",
                found(json_find(*model, "merges")));
  const auto read = [&]() -> Status {
    if (const auto dropout = MILLRACE_TRY(json_number(*model, "dropout")); dropout.value_or(0) != 0)
      return fail(ErrorCode::Unsupported, "dropout: found {}, expected none", *dropout);
    for (const std::string_view affix : {"continuing_subword_prefix", "end_of_word_suffix"})
      if (const auto text = MILLRACE_TRY(json_string(*model, affix)).value_or(""); !text.empty())
        return fail(ErrorCode::Unsupported, "{}: found \"{}\", expected none", affix, text);
    parts.ignore_merges = MILLRACE_TRY(flag(*model, "ignore_merges", false));
    parts.needs_every_byte = MILLRACE_TRY(flag(*model, "byte_fallback", false)) ||
                             MILLRACE_TRY(json_string(*model, "unk_token")).has_value();
    return {};
  };
  if (const Status status = read(); !status) return fail_in("model", status.error());
  parts.vocabulary = std::move(*file.vocabulary);
  parts.merges = std::move(*file.merges);
  return {};
}

Status check_normalizer(const Json& root) {
  const Json* normalizer = json_find(root, "normalizer");
  const std::string type = MILLRACE_TRY(component_type(normalizer, "normalizer"));
  if (type == "null") return {};
  if (type == "Sequence" && MILLRACE_TRY(list(*normalizer, "normalizers"))->empty()) return {};
  return fail(ErrorCode::Unsupported, "normalizer.type: found {}, expected none", type);
}

Status check_decoder(const Json& root) {
  const Json* decoder = json_find(root, "decoder");
  const std::string type = MILLRACE_TRY(component_type(decoder, "decoder"));
  if (type == "ByteLevel") return {};
  if (type == "Sequence") {
    const Json* decoders = MILLRACE_TRY(list(*decoder, "decoders"));
    if (decoders->size() == 1 &&
        MILLRACE_TRY(component_type(&decoders->front(), "decoder.decoders[0]")) == "ByteLevel")
      return {};
  }
  return fail(ErrorCode::Unsupported, "decoder.type: found {}, expected ByteLevel", type);
}

Result<AddedToken> read_added(const Json& entry) {
  if (!entry.is_object())
    return fail(ErrorCode::Corrupt, "found {}, expected an object", json_type_name(entry));
  AddedToken token;
  const auto text = MILLRACE_TRY(json_string(entry, "content"));
  if (!text) return fail(ErrorCode::Corrupt, "content: found nothing, expected a string");
  token.text = *text;
  token.special = MILLRACE_TRY(flag(entry, "special", false));
  token.lstrip = MILLRACE_TRY(flag(entry, "lstrip", false));
  token.rstrip = MILLRACE_TRY(flag(entry, "rstrip", false));
  token.single_word = MILLRACE_TRY(flag(entry, "single_word", false));
  token.normalized = MILLRACE_TRY(flag(entry, "normalized", !token.special));
  return token;
}

Status read_added_tokens(const Json& root, TokenizerParts& parts) {
  const Json* tokens = json_find(root, "added_tokens");
  if (!tokens) return {};
  if (!tokens->is_array())
    return fail(ErrorCode::Corrupt, "added_tokens: found {}, expected a list", found(tokens));
  for (std::size_t i = 0; i < tokens->size(); ++i) {
    const auto read = [&](const Json& entry) -> Result<AddedToken> {
      AddedToken token = MILLRACE_TRY(read_added(entry));
      const auto id = MILLRACE_TRY(json_int(entry, "id", 0, kMaxTokens - 1));
      if (!id) return fail(ErrorCode::Corrupt, "id: found nothing, expected an integer");
      token.id = static_cast<TokenId>(*id);
      return token;
    };
    auto token = read((*tokens)[i]);
    if (!token) return fail_in(fmt::format("added_tokens[{}]", i), token.error());
    if (!token->text.empty()) parts.added.push_back(std::move(*token));  // as the library
  }
  return {};
}

// The ids of one of a template's special tokens.
Status append_template_ids(const Json& processor, const std::string& name,
                           std::vector<TokenId>& ids) {
  const Json* tokens = json_find(processor, "special_tokens");
  const Json* token = tokens ? json_find(*tokens, name) : nullptr;
  if (!token) return fail(ErrorCode::Corrupt, "special_tokens: found no entry for \"{}\"", name);
  for (const Json& id : *MILLRACE_TRY(list(*token, "ids"))) {
    if (!id.is_number_integer() || id < 0 || id >= kMaxTokens)
      return fail(ErrorCode::Corrupt, "special_tokens.{}.ids: found {}, expected an id", name,
                  json_type_name(id));
    ids.push_back(id.get<TokenId>());
  }
  return {};
}

Status read_template(const Json& processor, TokenizerParts& parts) {
  bool seen_text = false;
  for (const Json& piece : *MILLRACE_TRY(list(processor, "single"))) {
    const Json* special = json_find(piece, "SpecialToken");
    const Json* sequence = json_find(piece, "Sequence");
    if (special) {
      const auto name = MILLRACE_TRY(json_string(*special, "id"));
      if (!name) return fail(ErrorCode::Corrupt, "single: found a SpecialToken without id");
      MILLRACE_TRY(append_template_ids(processor, *name, seen_text ? parts.after : parts.before));
    } else if (sequence && !seen_text &&
               MILLRACE_TRY(json_string(*sequence, "id")).value_or("") == "A") {
      seen_text = true;
    } else {
      return fail(ErrorCode::Unsupported,
                  "single: expected special tokens and the sequence A once");
    }
  }
  if (!seen_text) return fail(ErrorCode::Unsupported, "single: found no sequence A");
  return {};
}

Status read_post_processor(const Json& root, TokenizerParts& parts) {
  constexpr std::string_view kField = "post_processor";
  const Json* processor = json_find(root, kField);
  const std::string type = MILLRACE_TRY(component_type(processor, kField));
  std::vector<std::pair<const Json*, std::string>> steps;
  if (type == "Sequence") {
    const auto processors = list(*processor, "processors");
    if (!processors) return fail_in(kField, processors.error());
    for (const Json& step : **processors)
      steps.emplace_back(&step, fmt::format("{}.processors[{}]", kField, steps.size()));
  } else {
    steps.emplace_back(processor, kField);
  }
  bool seen_template = false;
  for (const auto& [step, field] : steps) {
    const std::string step_type = MILLRACE_TRY(component_type(step, field));
    // ByteLevel's changes offsets only.
    if (step_type == "null" || step_type == "ByteLevel") continue;
    if (step_type != "TemplateProcessing" || seen_template)
      return fail(ErrorCode::Unsupported,
                  "{}.type: found {}, expected ByteLevel or one TemplateProcessing", field,
                  step_type);
    seen_template = true;
    if (const Status status = read_template(*step, parts); !status)
      return fail_in(field, status.error());
  }
  return {};
}

// transformers adds to, and overrides, the tokens of tokenizer.json.
Status read_added_tokens_decoder(const Json& config, TokenizerParts& parts) {
  const Json* tokens = json_find(config, "added_tokens_decoder");
  if (!tokens) return {};
  if (!tokens->is_object())
    return fail(ErrorCode::Corrupt, "added_tokens_decoder: found {}, expected an object",
                found(tokens));
  for (const auto& [key, entry] : tokens->items()) {
    auto token = read_added(entry);
    if (!token) return fail_in(fmt::format("added_tokens_decoder.{}", key), token.error());
    const char* end = key.data() + key.size();
    const auto [parsed, error] = std::from_chars(key.data(), end, token->id);
    if (error != std::errc() || parsed != end || token->id < 0 || token->id >= kMaxTokens)
      return fail(ErrorCode::Corrupt, "added_tokens_decoder: found key \"{}\", expected an id",
                  key);
    if (!token->text.empty()) parts.added.push_back(std::move(*token));
  }
  return {};
}

// A token named by the config, as a string or as an object with "content". transformers makes it
// a special token if it is none.
Result<std::optional<TokenId>> named_token(const Json& config, std::string_view key,
                                           TokenizerParts& parts) {
  const Json* value = json_find(config, key);
  if (!value) return std::nullopt;
  const Json* text = value->is_object() ? json_find(*value, "content") : value;
  if (!text || !text->is_string())
    return fail(ErrorCode::Corrupt, "{}: found {}, expected a token", key, found(text));
  const std::string& name = *text->get_ptr<const std::string*>();
  std::optional<TokenId> added;
  for (AddedToken& token : parts.added) {
    if (token.text != name) continue;
    token.special = true;
    added = token.id;
  }
  if (added) return added;
  for (const auto& [token, id] : parts.vocabulary) {
    if (token != name) continue;
    parts.added.push_back({.text = token, .id = id, .special = true});
    return id;
  }
  return fail(ErrorCode::Corrupt, "{}: found \"{}\", which is no token", key, name);
}

// add_bos_token and add_eos_token are not read: beside a tokenizer.json transformers ignores them.
Status read_config(const Json& config, TokenizerParts& parts) {
  if (!config.is_object())
    return fail(ErrorCode::Corrupt, "found {}, expected an object", json_type_name(config));
  MILLRACE_TRY(read_added_tokens_decoder(config, parts));
  parts.bos = MILLRACE_TRY(named_token(config, "bos_token", parts));
  parts.eos = MILLRACE_TRY(named_token(config, "eos_token", parts));
  parts.pad = MILLRACE_TRY(named_token(config, "pad_token", parts));
  return {};
}

Status read_tokenizer(TokenizerFile file, TokenizerParts& parts) {
  const Json& root = file.document;
  if (!root.is_object())
    return fail(ErrorCode::Corrupt, "found {}, expected an object", json_type_name(root));
  MILLRACE_TRY(read_model(root, file, parts));
  MILLRACE_TRY(check_normalizer(root));
  MILLRACE_TRY(check_decoder(root));
  const Json* pretokenizer = json_find(root, "pre_tokenizer");
  parts.pretokenizer = MILLRACE_TRY(Pretokenizer::from_json(pretokenizer ? *pretokenizer : Json()));
  MILLRACE_TRY(read_added_tokens(root, parts));
  return read_post_processor(root, parts);
}

Result<MappedFile> open_limited(const std::string& path, std::size_t max_bytes) {
  MappedFile file = MILLRACE_TRY(MappedFile::open(path));
  if (file.size() > max_bytes)
    return fail(ErrorCode::TooLarge, "{}: {} bytes of JSON, the limit is {}", path, file.size(),
                max_bytes);
  return file;
}

Result<TokenizerParts> read_parts(std::string_view text, std::string_view origin,
                                  std::string_view config_text, std::string_view config_origin) {
  TokenizerParts parts;
  TokenizerFile file = MILLRACE_TRY(parse_tokenizer_file(text, origin, true));
  if (const Status s = read_tokenizer(std::move(file), parts); !s)
    return fail_in(origin, s.error());
  if (config_text.empty()) return parts;
  const TokenizerFile config =
      MILLRACE_TRY(parse_tokenizer_file(config_text, config_origin, false));
  if (const Status status = read_config(config.document, parts); !status)
    return fail_in(config_origin, status.error());
  return parts;
}

std::string tokenizer_path(const std::string& folder) {
  return (std::filesystem::path(folder) / "tokenizer.json").string();
}

}  // namespace

Result<TokenizerParts> read_tokenizer_folder(const std::string& folder) {
  const MappedFile file = MILLRACE_TRY(open_limited(tokenizer_path(folder), kMaxFileBytes));
  const std::string config_path =
      (std::filesystem::path(folder) / "tokenizer_config.json").string();
  std::error_code ignored;
  if (!std::filesystem::exists(config_path, ignored))
    return read_parts(file.text(), file.path(), {}, {});
  const MappedFile config = MILLRACE_TRY(open_limited(config_path, kMaxConfigBytes));
  return read_parts(file.text(), file.path(), config.text(), config.path());
}

Result<Tokenizer> Tokenizer::from_json(std::string_view text, std::string_view origin,
                                       std::string_view config_text,
                                       std::string_view config_origin) {
  auto tokenizer = build(MILLRACE_TRY(read_parts(text, origin, config_text, config_origin)));
  if (!tokenizer) return fail_in(origin, tokenizer.error());
  return tokenizer;
}

Result<Tokenizer> Tokenizer::from_json_file(const std::string& path) {
  const MappedFile file = MILLRACE_TRY(open_limited(path, kMaxFileBytes));
  return from_json(file.text(), path);
}

Result<Tokenizer> Tokenizer::from_folder(const std::string& folder) {
  auto tokenizer = build(MILLRACE_TRY(read_tokenizer_folder(folder)));
  if (!tokenizer) return fail_in(tokenizer_path(folder), tokenizer.error());
  return tokenizer;
}

}  // namespace millrace
