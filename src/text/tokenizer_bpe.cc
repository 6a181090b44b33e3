#include "text/tokenizer_bpe.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>

namespace millrace {
namespace {

// Up to here, looking for the best pair again after each merge is faster than a heap.
constexpr std::size_t kShortWord = 64;
constexpr std::uint32_t kNoRank = std::numeric_limits<std::uint32_t>::max();

std::uint64_t key_of(TokenId left, TokenId right) {
  return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
}

}  // namespace

Result<BytePairModel> BytePairModel::build(const TokenTable& table,
                                           const std::vector<Merge>& merges, bool ignore_merges) {
  BytePairModel model;
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    model.of_byte_[static_cast<std::size_t>(byte)] = table.id_of(to_byte_alphabet({&c, 1}));
  }
  const std::size_t capacity = std::bit_ceil(std::max<std::size_t>(16, merges.size() * 2));
  model.pairs_.resize(capacity);
  model.shift_ = 64 - std::countr_zero(capacity);
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const std::string& left = merges[rank].first;
    const std::string& right = merges[rank].second;
    const auto token = [&](std::string_view text) -> Result<TokenId> {
      const TokenId id = table.id_of(text);
      if (id < 0)
        return fail(ErrorCode::Corrupt, "merge {} (\"{}\" and \"{}\"): \"{}\" is not a token", rank,
                    left, right, text);
      return id;
    };
    const TokenId left_id = MILLRACE_TRY(token(left));
    const TokenId right_id = MILLRACE_TRY(token(right));
    model.insert(left_id, right_id, static_cast<std::uint32_t>(rank),
                 MILLRACE_TRY(token(left + right)));
  }
  model.ignore_merges_ = ignore_merges;
  if (ignore_merges)
    for (TokenId id = 0; id < table.size(); ++id)
      if (table.in_byte_alphabet(id)) model.words_.insert(table.bytes(id), id);
  return model;
}

void BytePairModel::insert(TokenId left, TokenId right, std::uint32_t rank, TokenId merged) {
  const std::uint64_t key = key_of(left, right);
  std::size_t at = key * 0x9E3779B97F4A7C15u >> shift_;
  while (pairs_[at].key != kNoPair && pairs_[at].key != key) at = (at + 1) & (pairs_.size() - 1);
  pairs_[at] = {key, rank, merged};
}

const BytePairModel::Pair* BytePairModel::find(TokenId left, TokenId right) const {
  const std::uint64_t key = key_of(left, right);
  for (std::size_t at = key * 0x9E3779B97F4A7C15u >> shift_;; at = (at + 1) & (pairs_.size() - 1)) {
    if (pairs_[at].key == key) return &pairs_[at];
    if (pairs_[at].key == kNoPair) return nullptr;
  }
}

bool BytePairModel::knows_every_byte() const {
  return std::all_of(of_byte_.begin(), of_byte_.end(), [](TokenId id) { return id >= 0; });
}

void BytePairModel::encode(const TokenTable& table, std::string_view word, Scratch& scratch,
                           std::vector<TokenId>& out) const {
  if (ignore_merges_) {
    const TokenId whole = words_.find(word, [&](TokenId id) { return table.bytes(id); });
    if (whole >= 0) {
      out.push_back(whole);
      return;
    }
  }
  std::vector<TokenId>& ids = scratch.ids;
  ids.clear();
  for (const char c : word)
    if (const TokenId id = of_byte_[static_cast<unsigned char>(c)]; id >= 0) ids.push_back(id);
  if (ids.size() <= kShortWord)
    merge_short(ids);
  else
    merge_long(scratch);
  out.insert(out.end(), ids.begin(), ids.end());
}

// Merges the pair of the lowest rank, of equals the leftmost, until there is none.
void BytePairModel::merge_short(std::vector<TokenId>& ids) const {
  if (ids.size() < 2) return;
  std::array<std::uint32_t, kShortWord> ranks;  // of the pair that begins here
  std::array<TokenId, kShortWord> merged;       // what it becomes
  const auto look_up = [&](std::size_t at) {
    const Pair* pair = find(ids[at], ids[at + 1]);
    ranks[at] = pair ? pair->rank : kNoRank;
    merged[at] = pair ? pair->merged : -1;
  };
  std::size_t pairs = ids.size() - 1;
  for (std::size_t i = 0; i < pairs; ++i) look_up(i);
  while (pairs > 0) {
    const auto* best = std::min_element(ranks.data(), ranks.data() + pairs);
    if (*best == kNoRank) break;
    const auto at = static_cast<std::size_t>(best - ranks.data());
    ids[at] = merged[at];
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
    std::copy(ranks.data() + at + 1, ranks.data() + pairs, ranks.data() + at);
    std::copy(merged.data() + at + 1, merged.data() + pairs, merged.data() + at);
    --pairs;
    if (at < pairs) look_up(at);
    if (at > 0) look_up(at - 1);
  }
}

// The same in O(n log n): a heap of (rank, position). An entry whose pair has changed since is
// found by its rank, as a rank belongs to one pair.
void BytePairModel::merge_long(Scratch& scratch) const {
  std::vector<Scratch::Symbol>& symbols = scratch.symbols;
  std::vector<std::uint64_t>& heap = scratch.heap;
  const auto count = static_cast<std::int32_t>(scratch.ids.size());
  const auto symbol = [&](std::int32_t at) -> Scratch::Symbol& {
    return symbols[static_cast<std::size_t>(at)];
  };
  symbols.clear();
  heap.clear();
  for (std::int32_t i = 0; i < count; ++i)
    symbols.push_back(
        {scratch.ids[static_cast<std::size_t>(i)], i - 1, i + 1 < count ? i + 1 : -1});
  const auto pair_at = [&](std::int32_t at) -> const Pair* {
    const std::int32_t next = symbol(at).next;
    return next < 0 ? nullptr : find(symbol(at).id, symbol(next).id);
  };
  const auto entry = [](const Pair& pair, std::int32_t at) {
    return std::uint64_t{pair.rank} << 32 | static_cast<std::uint32_t>(at);
  };
  for (std::int32_t i = 0; i < count; ++i)
    if (const Pair* pair = pair_at(i)) heap.push_back(entry(*pair, i));
  std::make_heap(heap.begin(), heap.end(), std::greater<>());
  const auto push = [&](std::int32_t at) {
    const Pair* pair = pair_at(at);
    if (!pair) return;
    heap.push_back(entry(*pair, at));
    std::push_heap(heap.begin(), heap.end(), std::greater<>());
  };
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    const std::uint64_t top = heap.back();
    heap.pop_back();
    const auto at = static_cast<std::int32_t>(top & 0xFFFFFFFFu);
    if (symbol(at).id < 0) continue;  // merged into its left neighbour
    const Pair* pair = pair_at(at);
    if (!pair || entry(*pair, at) != top) continue;
    const std::int32_t next = symbol(at).next;
    symbol(at).id = pair->merged;
    symbol(at).next = symbol(next).next;
    symbol(next).id = -1;
    if (symbol(at).next >= 0) symbol(symbol(at).next).previous = at;
    if (symbol(at).previous >= 0) push(symbol(at).previous);
    push(at);
  }
  scratch.ids.clear();
  for (std::int32_t at = 0; at >= 0; at = symbol(at).next) scratch.ids.push_back(symbol(at).id);
}

}  // namespace millrace
