// Tokens to text while they are being made.
#pragma once

#include <string>

#include "text/tokenizer.h"
#include "text/tokenizer_utf8.h"

namespace millrace {

// One sequence's; not thread-safe, the tokenizer inside is shared. What push() and flush() have
// returned, joined, is what Tokenizer::decode gives for all tokens at once.
class Detokenizer {
 public:
  explicit Detokenizer(Tokenizer tokenizer, DecodeOptions options = {})
      : tokenizer_(std::move(tokenizer)), options_(options) {}

  // The text that is certain with this token: whole characters, so that it may be empty. Ids
  // without token give nothing.
  std::string push(TokenId token);
  // The end: U+FFFD where the last character lacks bytes, else nothing. Then a new text may begin.
  std::string flush();

 private:
  Tokenizer tokenizer_;
  DecodeOptions options_;
  utf8::LossyStream stream_;
};

}  // namespace millrace
