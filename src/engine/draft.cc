#include "engine/draft.h"

#include <algorithm>
#include <bit>

namespace millrace {

LookupDrafter::LookupDrafter(std::int64_t most_tokens)
    : latest_(std::bit_ceil(static_cast<std::size_t>(std::max<std::int64_t>(64, most_tokens)))),
      earlier_(static_cast<std::size_t>(most_tokens) + 1) {}

std::size_t LookupDrafter::bucket(std::span<const TokenId> tokens, std::size_t end) const {
  std::uint64_t hash = 0;
  for (std::size_t i = end - kLeast; i < end; ++i)
    hash = (hash ^ static_cast<std::uint64_t>(tokens[i])) * 0x9e3779b97f4a7c15;
  return static_cast<std::size_t>(hash >> 32) & (latest_.size() - 1);
}

void LookupDrafter::propose(std::span<const TokenId> tokens, std::int64_t most,
                            std::vector<TokenId>& drafts) {
  // The end itself is not indexed yet: it would be found first.
  for (; indexed_ + 1 < tokens.size(); ++indexed_) {
    const std::size_t end = indexed_ + 1;
    std::int32_t& latest = latest_[bucket(tokens, end)];
    earlier_[end] = latest;
    latest = static_cast<std::int32_t>(end);
  }
  if (tokens.size() <= kLeast || most <= 0) return;
  std::size_t best = 0;
  std::size_t agreed = kLeast - 1;
  auto place = static_cast<std::size_t>(latest_[bucket(tokens, tokens.size())]);
  for (int looked = 0; place > 0 && looked < kMostPlaces; ++looked) {
    std::size_t common = 0;
    while (common < place && common < 64 &&
           tokens[place - 1 - common] == tokens[tokens.size() - 1 - common])
      ++common;
    if (common > agreed) {
      agreed = common;
      best = place;
    }
    place = static_cast<std::size_t>(earlier_[place]);
  }
  if (best == 0) return;
  const std::size_t count = std::min(static_cast<std::size_t>(most), tokens.size() - best);
  const auto first = tokens.begin() + static_cast<std::ptrdiff_t>(best);
  drafts.insert(drafts.end(), first, first + static_cast<std::ptrdiff_t>(count));
}

void DraftLength::learn(std::int64_t guessed, std::int64_t right) {
  if (guessed == 0) return;
  next_ = right == guessed ? std::min(most_, next_ * 2) : std::max<std::int64_t>(1, right + 1);
  next_ = std::min(next_, most_);
}

}  // namespace millrace
