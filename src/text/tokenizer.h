// Text to tokens and back: byte-level BPE with the results of Hugging Face's `tokenizers` library.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/token.h"

namespace millrace {

struct EncodeOptions {
  // Puts what the file's post-processor puts around a text: for LFM2, the beginning-of-text token.
  // A rendered chat has it already.
  bool add_special_tokens = true;
  // Whether special tokens written in the text are tokens or ordinary characters. Added tokens
  // that are not special (<think>) are found either way.
  bool parse_special = true;
};

struct DecodeOptions {
  bool skip_special_tokens = true;
};

// A vocabulary as GGUF files hold it, in plain data; fields are named after "tokenizer.ggml.*".
struct GgufTokenizer {
  std::string model = {};                      // "gpt2"
  std::string pre = {};                        // "lfm2", "llama-bpe", "gpt-2", ...
  std::vector<std::string> tokens = {};        // by id
  std::vector<std::int32_t> token_types = {};  // as long as tokens, or empty: all normal
  std::vector<std::string> merges = {};        // "left right"
  std::optional<std::int64_t> bos_id = {}, eos_id = {}, padding_id = {};
  std::optional<bool> add_bos = {}, add_eos = {};  // absent: what llama.cpp assumes for `pre`
};

// A folder's tokenizer as a GGUF file of a model with `rows` rows of embedding would hold it: rows
// without token become "[PADn]". Unsupported where its split has no name there or it puts other
// tokens around a text than bos and eos.
struct GgufTokenizerExport {
  GgufTokenizer tokenizer;
  // What the file says and GGUF cannot, a line each.
  std::vector<std::string> lost;
};
Result<GgufTokenizerExport> export_gguf_tokenizer(const std::string& folder, TokenId rows);

struct TokenizerParts;

// Immutable and safe to use from many threads; a copy shares everything.
class Tokenizer {
 public:
  // tokenizer.json, and in a folder tokenizer_config.json beside it, if it is there: the special
  // tokens by name and changes to added tokens. Whatever component Millrace does not know is
  // refused by its name.
  static Result<Tokenizer> from_folder(const std::string& folder);
  static Result<Tokenizer> from_json_file(const std::string& path);
  // The text of a tokenizer.json, and of a tokenizer_config.json or nothing. The origins name them
  // in messages.
  static Result<Tokenizer> from_json(std::string_view text, std::string_view origin,
                                     std::string_view config_text = {},
                                     std::string_view config_origin = "tokenizer_config.json");
  static Result<Tokenizer> from_gguf(const GgufTokenizer& gguf, std::string_view origin);

  // Invalid UTF-8 is replaced first: each maximal invalid part becomes U+FFFD. Fails only where a
  // pattern of the file's own runs into its limits (never for LFM2's), or over 1 GiB of text.
  Result<std::vector<TokenId>> encode(std::string_view text, EncodeOptions options = {}) const;

  // Valid UTF-8: the tokens' bytes joined, each maximal invalid part of them replaced by U+FFFD.
  // Ids without token (out of range, negative, padding rows of a model) give nothing.
  std::string decode(std::span<const TokenId> tokens, DecodeOptions options = {}) const;

  // The bytes a token stands for, not always UTF-8; empty for an id without token.
  std::string_view token_bytes(TokenId token) const;
  // The token as the file spells it: "Ġthe", "<|im_end|>".
  std::string_view token_text(TokenId token) const;
  // By the same spelling.
  std::optional<TokenId> id_of(std::string_view token_text) const;
  bool is_special(TokenId token) const;
  bool is_added(TokenId token) const;

  // One past the largest id. A model may have more rows: they are no tokens.
  TokenId vocab_size() const;
  std::optional<TokenId> bos() const;
  std::optional<TokenId> eos() const;
  std::optional<TokenId> pad() const;
  // Whether encode with special tokens begins with bos(): a chat template that writes it too
  // would give two.
  bool adds_bos() const;

 private:
  struct Data;
  explicit Tokenizer(std::shared_ptr<const Data> data) : data_(std::move(data)) {}
  static Result<Tokenizer> build(TokenizerParts parts);

  std::shared_ptr<const Data> data_;
};

}  // namespace millrace
