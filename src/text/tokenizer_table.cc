#include "text/tokenizer_table.h"

#include <limits>

#include "text/tokenizer_utf8.h"

namespace millrace {
namespace {

// GPT-2's alphabet: printable bytes of Latin-1 are themselves, the others follow from U+0100 on.
struct ByteAlphabet {
  std::array<char32_t, 256> of_byte{};
  std::array<std::int16_t, 0x144> to_byte{};  // -1: not of the alphabet
};

constexpr ByteAlphabet make_byte_alphabet() {
  ByteAlphabet made;
  for (std::int16_t& byte : made.to_byte) byte = -1;
  char32_t next = 0x100;
  for (int b = 0; b < 256; ++b) {
    const bool printable =
        (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b <= 0xAC) || (b >= 0xAE && b <= 0xFF);
    const char32_t c = printable ? static_cast<char32_t>(b) : next++;
    made.of_byte[static_cast<std::size_t>(b)] = c;
    made.to_byte[c] = static_cast<std::int16_t>(b);
  }
  return made;
}
constexpr ByteAlphabet kAlphabet = make_byte_alphabet();

}  // namespace

std::optional<std::string> bytes_of_alphabet(std::string_view valid) {
  std::string bytes;
  bytes.reserve(valid.size());
  for (std::size_t at = 0, length; at < valid.size(); at += length) {
    const char32_t c = utf8::code_point_at(valid, at, length);
    if (c >= kAlphabet.to_byte.size() || kAlphabet.to_byte[c] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(kAlphabet.to_byte[c]));
  }
  return bytes;
}

std::string to_byte_alphabet(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const char byte : bytes)
    utf8::append_code_point(kAlphabet.of_byte[static_cast<unsigned char>(byte)], text);
  return text;
}

std::uint64_t StringIndex::hash_of(std::string_view key) {
  // The multiplication spreads what std::hash gives over both halves.
  return std::hash<std::string_view>{}(key)*0x9E3779B97F4A7C15u;
}

void StringIndex::place(std::uint64_t hash, TokenId id) {
  std::size_t at = hash & mask();
  while (slots_[at].id >= 0) at = (at + 1) & mask();
  slots_[at] = {static_cast<std::uint32_t>(hash >> 32), static_cast<std::uint32_t>(hash), id};
}

void StringIndex::grow() {
  std::vector<Slot> old(slots_.empty() ? 64 : slots_.size() * 2);
  old.swap(slots_);
  for (const Slot& slot : old)
    if (slot.id >= 0) place(std::uint64_t{slot.hash} << 32 | slot.low, slot.id);
}

Status TokenTable::add(std::string_view text, TokenId id) {
  if (id < 0 || id >= kMaxTokens)
    return fail(ErrorCode::Corrupt, "found a token with id {}, expected 0 to {}", id,
                kMaxTokens - 1);
  if (text.empty()) return fail(ErrorCode::Corrupt, "found a token without text at id {}", id);
  if (utf8::valid_prefix(text) != text.size())
    return fail(ErrorCode::Corrupt, "found a token whose text is not UTF-8 at id {}", id);
  const auto index = static_cast<std::size_t>(id);
  if (index < texts_.size() && texts_[index].length != 0)
    return fail(ErrorCode::Corrupt, "found id {} twice: \"{}\" and \"{}\"", id, this->text(id),
                text);
  if (const TokenId other = id_of(text); other >= 0)
    return fail(ErrorCode::Corrupt, "found token \"{}\" twice: ids {} and {}", text, other, id);
  if (text_arena_.size() + text.size() > std::numeric_limits<std::uint32_t>::max())
    return fail(ErrorCode::TooLarge, "more than 4 GiB of tokens");

  if (index >= texts_.size()) {
    texts_.resize(index + 1);
    bytes_.resize(index + 1);
    alphabet_.resize(index + 1);
  }
  const auto keep = [](std::string& arena, std::string_view value) {
    const Part part{static_cast<std::uint32_t>(arena.size()),
                    static_cast<std::uint32_t>(value.size())};
    arena.append(value);
    return part;
  };
  const std::optional<std::string> bytes = bytes_of_alphabet(text);
  texts_[index] = keep(text_arena_, text);
  bytes_[index] = keep(byte_arena_, bytes ? std::string_view(*bytes) : text);
  alphabet_[index] = bytes.has_value();
  by_text_.insert(text, id);
  return {};
}

bool TokenTable::in_byte_alphabet(TokenId id) const {
  return id >= 0 && id < size() && alphabet_[static_cast<std::size_t>(id)];
}

}  // namespace millrace
