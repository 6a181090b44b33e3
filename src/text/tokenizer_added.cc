#include "text/tokenizer_added.h"

#include <algorithm>

#include "text/tokenizer_unicode.h"
#include "text/tokenizer_utf8.h"

namespace millrace {
namespace {

bool is_space(char32_t c) {
  return unicode::char_class(c) == unicode::CharClass::Space;
}

// The beginning of the last character before `at` > 0.
std::size_t character_before(std::string_view valid, std::size_t at) {
  do --at;
  while ((static_cast<unsigned char>(valid[at]) & 0xC0) == 0x80);
  return at;
}

char32_t code_point(std::string_view valid, std::size_t at) {
  std::size_t length;
  return utf8::code_point_at(valid, at, length);
}

bool touches_word(std::string_view valid, std::size_t begin, std::size_t end) {
  if (begin > 0 && unicode::is_word(code_point(valid, character_before(valid, begin)))) return true;
  return end < valid.size() && unicode::is_word(code_point(valid, end));
}

// Not below `floor`.
std::size_t before_spaces(std::string_view valid, std::size_t at, std::size_t floor) {
  while (at > floor) {
    const std::size_t previous = character_before(valid, at);
    if (!is_space(code_point(valid, previous))) break;
    at = previous;
  }
  return at;
}

std::size_t after_spaces(std::string_view valid, std::size_t at) {
  std::size_t length;
  while (at < valid.size() && is_space(utf8::code_point_at(valid, at, length))) at += length;
  return at;
}

}  // namespace

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  token_of_node_.push_back(-1);
  const auto child = [&](std::int32_t node, unsigned char byte) -> std::int32_t& {
    if (node == 0) return root_[byte];
    return children_[std::uint64_t{static_cast<std::uint32_t>(node)} << 8 | byte];
  };
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    std::int32_t node = 0;
    for (const char c : tokens_[i].text) {
      std::int32_t& next = child(node, static_cast<unsigned char>(c));
      if (next == 0) {
        next = static_cast<std::int32_t>(token_of_node_.size());
        token_of_node_.push_back(-1);
      }
      node = next;
    }
    token_of_node_[static_cast<std::size_t>(node)] = static_cast<std::int32_t>(i);
  }
}

int AddedTokenMatcher::longest_at(std::string_view text, std::size_t at) const {
  std::int32_t node = root_[static_cast<unsigned char>(text[at])];
  int longest = -1;
  for (std::size_t next = at + 1; node != 0; ++next) {
    if (const std::int32_t token = token_of_node_[static_cast<std::size_t>(node)]; token >= 0)
      longest = token;
    if (next == text.size()) break;
    const auto child = children_.find(std::uint64_t{static_cast<std::uint32_t>(node)} << 8 |
                                      static_cast<unsigned char>(text[next]));
    if (child == children_.end()) break;
    node = child->second;
  }
  return longest;
}

void AddedTokenMatcher::split(std::string_view valid, bool parse_special,
                              const std::function<void(std::string_view, TokenId)>& part) const {
  std::size_t done = 0;
  // How far the last rstrip reached: white space that is itself a token is not measured again.
  std::size_t spaces_end = 0;
  for (std::size_t at = 0; at < valid.size();) {
    if (root_[static_cast<unsigned char>(valid[at])] == 0) {
      ++at;
      continue;
    }
    const int found = longest_at(valid, at);
    if (found < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[static_cast<std::size_t>(found)];
    std::size_t begin = at, end = at + token.text.size();
    // Whether it counts or not, the search goes on behind it.
    at = end;
    if (token.special && !parse_special) continue;
    if (token.single_word && touches_word(valid, begin, end)) continue;
    if (token.lstrip) begin = std::max(before_spaces(valid, begin, done), done);
    if (token.rstrip) {
      if (end > spaces_end) spaces_end = after_spaces(valid, end);
      end = spaces_end;
    }
    // Nothing is left of it: another token's rstrip has taken its white space.
    if (begin >= end) continue;
    if (done < begin) part(valid.substr(done, begin - done), -1);
    part(valid.substr(begin, end - begin), token.id);
    // Not the larger of the two: a token of white space that another's rstrip has swallowed cuts
    // where it ends, as in the `tokenizers` library.
    done = end;
  }
  if (done < valid.size()) part(valid.substr(done), -1);
}

}  // namespace millrace
