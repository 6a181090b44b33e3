#include "text/jinja/unicode.h"

#include <algorithm>

#include "text/jinja/unicode_tables.h"

namespace millrace::jinja {
namespace {

bool in_ranges(std::span<const CodeRange> ranges, char32_t code) {
  const auto it = std::upper_bound(ranges.begin(), ranges.end(), code,
                                   [](char32_t c, const CodeRange& r) { return c < r.first; });
  return it != ranges.begin() && code <= std::prev(it)->last;
}

unsigned char byte_at(std::string_view text, std::size_t at) {
  return static_cast<unsigned char>(text[at]);
}

bool is_continuation(std::string_view text, std::size_t at) {
  return (byte_at(text, at) & 0xC0) == 0x80;
}

// Bytes of the sequence that this lead byte opens; 0 for a byte that opens none.
std::size_t sequence_bytes(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead < 0xE0) return 2;
  if (lead >= 0xE0 && lead < 0xF0) return 3;
  if (lead >= 0xF0 && lead < 0xF5) return 4;
  return 0;
}

void append_cased(std::string& out, char32_t code, const CaseTable& table) {
  if (code < 0x80) {
    // The only ASCII conversions, and by far the most frequent ones.
    for (const CaseRun& run : table.runs.first(1))
      if (code >= run.first && code <= run.last)
        code = static_cast<char32_t>(static_cast<std::int32_t>(code) + run.delta);
    out.push_back(static_cast<char>(code));
    return;
  }
  const auto special =
      std::lower_bound(table.specials.begin(), table.specials.end(), code,
                       [](const CaseSpecial& s, char32_t c) { return s.code < c; });
  if (special != table.specials.end() && special->code == code) {
    out += special->text;
    return;
  }
  // Runs of stride 2 interleave (upper and lower letters alternate), so that the run that holds
  // the code may be one before the last that starts at or below it.
  auto it = std::upper_bound(table.runs.begin(), table.runs.end(), code,
                             [](char32_t c, const CaseRun& r) { return c < r.first; });
  for (int back = 0; back < 4 && it != table.runs.begin(); ++back) {
    --it;
    if (code <= it->last && (code - it->first) % static_cast<char32_t>(it->stride) == 0) {
      utf8_append(out, static_cast<char32_t>(static_cast<std::int32_t>(code) + it->delta));
      return;
    }
  }
  utf8_append(out, code);
}

bool is_cased(char32_t code) {
  return is_upper(code) || is_lower(code) || is_title(code);
}

constexpr char32_t kSigma = 0x3A3;

// A capital sigma that ends a word becomes the final form. Python also looks past marks and
// punctuation inside a word; here the neighbours decide.
void append_lower(std::string& out, std::string_view text, std::size_t start, std::size_t end,
                  char32_t code) {
  if (code == kSigma) {
    std::size_t before = start > 0 ? utf8_before(text, start) : start;
    std::size_t after = end;
    const bool follows = start > 0 && is_cased(utf8_next(text, before));
    const bool goes_on = end < text.size() && is_cased(utf8_next(text, after));
    utf8_append(out, follows && !goes_on ? 0x3C2 : 0x3C3);
    return;
  }
  append_cased(out, code, to_lower_table());
}

}  // namespace

bool is_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const unsigned char lead = byte_at(text, at);
    const std::size_t bytes = sequence_bytes(lead);
    if (bytes == 0 || bytes > text.size() - at) return false;
    for (std::size_t i = 1; i < bytes; ++i)
      if (!is_continuation(text, at + i)) return false;
    if (bytes > 2) {
      const unsigned char second = byte_at(text, at + 1);
      if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second >= 0xA0) ||
          (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second >= 0x90))
        return false;
    }
    at += bytes;
  }
  return true;
}

std::size_t utf8_length(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

char32_t utf8_next(std::string_view text, std::size_t& at) {
  const unsigned char lead = byte_at(text, at);
  const std::size_t bytes =
      std::min(std::max<std::size_t>(sequence_bytes(lead), 1), text.size() - at);
  if (bytes == 1) return byte_at(text, at++);
  char32_t code = lead & (0xFFu >> (bytes + 1));
  for (std::size_t i = 1; i < bytes; ++i) code = (code << 6) | (byte_at(text, at + i) & 0x3Fu);
  at += bytes;
  return code;
}

std::size_t utf8_offset(std::string_view text, std::size_t index) {
  std::size_t at = 0;
  for (; at < text.size(); ++at) {
    if (is_continuation(text, at)) continue;
    if (index == 0) return at;
    --index;
  }
  return at;
}

std::size_t utf8_before(std::string_view text, std::size_t at) {
  do {
    --at;
  } while (at > 0 && is_continuation(text, at));
  return at;
}

void utf8_append(std::string& text, char32_t code) {
  const auto put = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | (code >> 6));
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | (code >> 12));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | (code >> 18));
    put(0x80 | ((code >> 12) & 0x3F));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

bool is_space(char32_t code) {
  return (code >= 0x09 && code <= 0x0D) || (code >= 0x1C && code <= 0x20) || code == 0x85 ||
         code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A) || code == 0x2028 ||
         code == 0x2029 || code == 0x202F || code == 0x205F || code == 0x3000;
}

bool is_alpha(char32_t code) {
  return in_ranges(alpha_ranges(), code);
}
bool is_decimal(char32_t code) {
  return in_ranges(decimal_ranges(), code);
}
bool is_digit(char32_t code) {
  return in_ranges(digit_ranges(), code);
}
bool is_numeric(char32_t code) {
  return in_ranges(numeric_ranges(), code);
}
bool is_upper(char32_t code) {
  return in_ranges(upper_ranges(), code);
}
bool is_lower(char32_t code) {
  return in_ranges(lower_ranges(), code);
}
bool is_title(char32_t code) {
  return in_ranges(title_ranges(), code);
}

bool is_printable(char32_t code) {
  if (code < 0x7F) return code >= 0x20;
  return !in_ranges(unprintable_ranges(), code);
}

std::string to_upper(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();)
    append_cased(out, utf8_next(text, at), to_upper_table());
  return out;
}

std::string to_lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    const char32_t code = utf8_next(text, at);
    append_lower(out, text, start, at, code);
  }
  return out;
}

std::string to_title(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool inside = false;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    const char32_t code = utf8_next(text, at);
    if (inside)
      append_lower(out, text, start, at, code);
    else
      append_cased(out, code, to_title_table());
    inside = is_cased(code);
  }
  return out;
}

std::string to_capitalized(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    const char32_t code = utf8_next(text, at);
    if (start == 0)
      append_cased(out, code, to_title_table());
    else
      append_lower(out, text, start, at, code);
  }
  return out;
}

std::string swap_case(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t start = at;
    const char32_t code = utf8_next(text, at);
    if (is_upper(code))
      append_lower(out, text, start, at, code);
    else if (is_lower(code))
      append_cased(out, code, to_upper_table());
    else
      utf8_append(out, code);
  }
  return out;
}

namespace {

template <typename Strips>
std::string_view strip_if(std::string_view text, Side side, const Strips& strips) {
  std::size_t first = 0;
  if (side != Side::Right) {
    for (std::size_t at = 0; at < text.size(); first = at)
      if (!strips(utf8_next(text, at))) break;
  }
  std::size_t last = text.size();
  if (side != Side::Left) {
    while (last > first) {
      const std::size_t start = utf8_before(text, last);
      std::size_t at = start;
      if (!strips(utf8_next(text, at))) break;
      last = start;
    }
  }
  return text.substr(first, last - first);
}

}  // namespace

std::string_view strip(std::string_view text, Side side) {
  return strip_if(text, side, is_space);
}

std::string_view strip(std::string_view text, std::string_view chars, Side side) {
  std::u32string set;
  for (std::size_t at = 0; at < chars.size();) set.push_back(utf8_next(chars, at));
  std::sort(set.begin(), set.end());
  return strip_if(text, side,
                  [&](char32_t code) { return std::binary_search(set.begin(), set.end(), code); });
}

LineEnd next_line(std::string_view text, std::size_t from) {
  for (std::size_t at = from; at < text.size();) {
    const std::size_t end = at;
    const char32_t code = utf8_next(text, at);
    if (code == '\r' && at < text.size() && text[at] == '\n') return {end, at + 1};
    if ((code >= 0x0A && code <= 0x0D) || (code >= 0x1C && code <= 0x1E) || code == 0x85 ||
        code == 0x2028 || code == 0x2029)
      return {end, at};
  }
  return {text.size(), text.size()};
}

}  // namespace millrace::jinja
