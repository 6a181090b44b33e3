#include "text/detokenizer.h"

namespace millrace {

std::string Detokenizer::push(TokenId token) {
  std::string text;
  if (!options_.skip_special_tokens || !tokenizer_.is_special(token))
    stream_.append(tokenizer_.token_bytes(token), text);
  return text;
}

std::string Detokenizer::flush() {
  std::string text;
  stream_.finish(text);
  return text;
}

}  // namespace millrace
