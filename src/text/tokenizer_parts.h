// What every source of a tokenizer boils down to, before it is checked and indexed.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "text/pretokenizer.h"
#include "text/tokenizer_added.h"
#include "text/tokenizer_bpe.h"

namespace millrace {

struct TokenizerParts {
  std::vector<std::pair<std::string, TokenId>> vocabulary;
  std::vector<Merge> merges;
  bool ignore_merges = false;
  // The file says what to do with bytes that are no tokens (unk_token, byte_fallback). Millrace
  // does not; the file is accepted if there are none.
  bool needs_every_byte = false;
  Pretokenizer pretokenizer = Pretokenizer::llama3();
  // A token of the vocabulary keeps its id, another brings its own. Of two with one text the last
  // counts.
  std::vector<AddedToken> added;
  std::vector<TokenId> before, after;  // around a text encoded with special tokens
  std::optional<TokenId> bos, eos, pad;
};

// Of tokenizer.json and, if it is there, tokenizer_config.json.
Result<TokenizerParts> read_tokenizer_folder(const std::string& folder);

}  // namespace millrace
