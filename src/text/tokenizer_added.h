// Added tokens: texts that are cut out of the input before anything else looks at it.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/token.h"

namespace millrace {

struct AddedToken {
  std::string text;
  TokenId id = -1;
  bool special = false;      // hidden by skip_special_tokens; not looked for without parse_special
  bool lstrip = false;       // takes the white space before it along
  bool rstrip = false;       // and after it
  bool single_word = false;  // only where no letter, mark, digit or connector touches it
  bool normalized = false;   // looked for after the tokens that are not
};

// A longer added token in a file is refused: what the search costs at most a byte of text.
inline constexpr std::size_t kMaxAddedTokenBytes = 1024;

// Finds a set of added tokens from left to right, of those that begin at one place the longest.
// Immutable and thread-safe.
class AddedTokenMatcher {
 public:
  explicit AddedTokenMatcher(std::vector<AddedToken> tokens);

  bool empty() const { return tokens_.empty(); }

  // Cuts `valid` at the tokens: part(text, -1) for what lies between, part(text, id) for a token.
  // Without `parse_special` special tokens are ordinary text.
  void split(std::string_view valid, bool parse_special,
             const std::function<void(std::string_view, TokenId)>& part) const;

 private:
  // The longest token that begins at `at`: an index of tokens_, or -1.
  int longest_at(std::string_view text, std::size_t at) const;

  std::vector<AddedToken> tokens_;
  // A trie: the root's children by byte, the others by node << 8 | byte.
  std::array<std::int32_t, 256> root_{};  // 0: none
  std::unordered_map<std::uint64_t, std::int32_t> children_;
  std::vector<std::int32_t> token_of_node_;  // index of tokens_, or -1
};

}  // namespace millrace
