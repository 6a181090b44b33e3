// Every token of a vocabulary: its text, as the file spells it, and the bytes it stands for.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/token.h"

namespace millrace {

// Ids of files end here: far above any vocabulary, and the tables stay small.
inline constexpr TokenId kMaxTokens = 1 << 22;

// Finds ids by strings that someone else keeps. Open addressing, grows as it is filled.
class StringIndex {
 public:
  // `string_of(id)` gives the string an id was inserted with.
  template <typename StringOf>
  TokenId find(std::string_view key, const StringOf& string_of) const {
    if (slots_.empty()) return -1;
    const std::uint64_t hash = hash_of(key);
    for (std::size_t at = hash & mask();; at = (at + 1) & mask()) {
      const Slot& slot = slots_[at];
      if (slot.id < 0) return -1;
      if (slot.hash == static_cast<std::uint32_t>(hash >> 32) && string_of(slot.id) == key)
        return slot.id;
    }
  }
  // The key must not be there yet.
  void insert(std::string_view key, TokenId id) {
    if (2 * (count_ + 1) > slots_.size()) grow();
    place(hash_of(key), id);
    ++count_;
  }

 private:
  struct Slot {
    std::uint32_t hash = 0;  // the upper half
    std::uint32_t low = 0;   // the lower half, to grow without the strings
    TokenId id = -1;
  };
  static std::uint64_t hash_of(std::string_view key);
  std::size_t mask() const { return slots_.size() - 1; }
  void place(std::uint64_t hash, TokenId id);
  void grow();

  std::vector<Slot> slots_;
  std::size_t count_ = 0;
};

// Tokens in the byte alphabet of GPT-2 ("Ġthe") stand for bytes (" the"); the text of any other
// token, one with a space in it for example, is its bytes. So the `tokenizers` library decodes.
class TokenTable {
 public:
  // Refuses text that is empty, not UTF-8 or there already, and ids out of range or taken.
  Status add(std::string_view text, TokenId id);

  TokenId id_of(std::string_view text) const {
    return by_text_.find(text, [this](TokenId id) { return this->text(id); });
  }
  // Empty for an id without token; any id may be asked.
  std::string_view text(TokenId id) const { return part(texts_, text_arena_, id); }
  std::string_view bytes(TokenId id) const { return part(bytes_, byte_arena_, id); }
  // Whether the text is spelled in the byte alphabet, so that merges of bytes can give the token.
  bool in_byte_alphabet(TokenId id) const;

  // One past the largest id.
  TokenId size() const { return static_cast<TokenId>(texts_.size()); }

 private:
  struct Part {
    std::uint32_t begin = 0, length = 0;
  };
  static std::string_view part(const std::vector<Part>& parts, const std::string& arena,
                               TokenId id) {
    if (id < 0 || static_cast<std::size_t>(id) >= parts.size()) return {};
    const Part& p = parts[static_cast<std::size_t>(id)];
    return std::string_view(arena).substr(p.begin, p.length);
  }

  std::vector<Part> texts_, bytes_;
  std::vector<bool> alphabet_;
  std::string text_arena_, byte_arena_;
  StringIndex by_text_;
};

// The bytes a text in the byte alphabet stands for; nothing where a character is not of it.
std::optional<std::string> bytes_of_alphabet(std::string_view valid);
// The other way.
std::string to_byte_alphabet(std::string_view bytes);

}  // namespace millrace
