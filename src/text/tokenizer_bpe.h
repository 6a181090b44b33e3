// Byte-pair encoding of one word.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "text/tokenizer_table.h"

namespace millrace {

using Merge = std::pair<std::string, std::string>;

// Immutable and thread-safe; what a call needs besides is in the caller's Scratch.
class BytePairModel {
 public:
  // Working memory, reused from word to word by one thread at a time.
  struct Scratch {
    struct Symbol {
      TokenId id;
      std::int32_t previous, next;  // -1: none
    };
    std::vector<TokenId> ids;
    std::vector<Symbol> symbols;
    std::vector<std::uint64_t> heap;
  };

  // `merges` are texts in the byte alphabet, the first has the lowest rank; of a pair that comes
  // twice the last counts. Each part and each result must be a token of `table`, else Corrupt.
  // With `ignore_merges` a word that is a token is that token, whatever the merges would give.
  static Result<BytePairModel> build(const TokenTable& table, const std::vector<Merge>& merges,
                                     bool ignore_merges);

  // Appends the tokens of `word` (bytes, at most 2^31 - 1). A byte that has no token gives none,
  // as in the `tokenizers` library.
  void encode(const TokenTable& table, std::string_view word, Scratch& scratch,
              std::vector<TokenId>& out) const;

  // Whether each of the 256 bytes is a token: then no text loses anything.
  bool knows_every_byte() const;

 private:
  struct Pair {
    std::uint64_t key = kNoPair;  // left id << 32 | right id
    std::uint32_t rank = 0;
    TokenId merged = -1;
  };
  static constexpr std::uint64_t kNoPair = ~std::uint64_t{0};

  const Pair* find(TokenId left, TokenId right) const;
  void insert(TokenId left, TokenId right, std::uint32_t rank, TokenId merged);
  void merge_short(std::vector<TokenId>& ids) const;
  void merge_long(Scratch& scratch) const;

  std::array<TokenId, 256> of_byte_{};
  std::vector<Pair> pairs_;  // open addressing; the size is a power of two
  int shift_ = 0;
  bool ignore_merges_ = false;
  StringIndex words_;  // by bytes, for ignore_merges
};

}  // namespace millrace
