// Reading tokenizer.json: a document whose vocabulary and merges, nearly all of it, never become
// JSON values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "text/tokenizer_bpe.h"

namespace millrace {

// NOLINTNEXTLINE(bugprone-exception-escape): takes the move of a JSON value for one that can throw.
struct TokenizerFile {
  Json document;  // the root, without "vocab" and "merges" of "model" where they are read here
  std::optional<std::vector<std::pair<std::string, TokenId>>> vocabulary;
  std::optional<std::vector<Merge>> merges;
};
static_assert(std::is_nothrow_move_constructible_v<TokenizerFile>);

// Parses `text`. With `take_model`, an object "model.vocab" and a list "model.merges" (of pairs,
// or of strings "left right") are taken out; they must be what they should be, other parts may be
// any JSON within limits on depth and number. A key that comes twice in an object outside the
// vocabulary is an error.
Result<TokenizerFile> parse_tokenizer_file(std::string_view text, std::string_view origin,
                                           bool take_model);

}  // namespace millrace
