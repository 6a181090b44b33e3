// A bit for each token of a vocabulary: set where the token may come next.
#pragma once

#include <cstdint>
#include <span>

#include "text/token.h"

namespace millrace {

using TokenMask = std::span<std::uint32_t>;  // mask_words(vocabulary) words

constexpr std::int64_t mask_words(std::int64_t vocab) {
  return (vocab + 31) / 32;
}

inline bool mask_has(std::span<const std::uint32_t> mask, TokenId token) {
  return mask[static_cast<std::size_t>(token) / 32] >> (token % 32) & 1;
}

inline void mask_set(TokenMask mask, TokenId token, bool allowed) {
  std::uint32_t& word = mask[static_cast<std::size_t>(token) / 32];
  const std::uint32_t bit = 1u << (token % 32);
  word = allowed ? word | bit : word & ~bit;
}

}  // namespace millrace
