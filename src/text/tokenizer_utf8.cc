#include "text/tokenizer_utf8.h"

#include <cstring>

namespace millrace::utf8 {

Step next(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto step = [](Step::Kind kind, std::size_t length, char32_t code_point = 0) {
    return Step{kind, static_cast<std::uint8_t>(length), code_point};
  };
  const unsigned first = byte(0);
  if (first < 0x80) return step(Step::Kind::Character, 1, first);
  // Table 3-7 of the Unicode standard: the second byte's range depends on the first.
  std::size_t length = 0;
  unsigned low = 0x80, high = 0xBF;
  if (first >= 0xC2 && first <= 0xDF) {
    length = 2;
  } else if (first >= 0xE0 && first <= 0xEF) {
    length = 3;
    if (first == 0xE0) low = 0xA0;
    if (first == 0xED) high = 0x9F;
  } else if (first >= 0xF0 && first <= 0xF4) {
    length = 4;
    if (first == 0xF0) low = 0x90;
    if (first == 0xF4) high = 0x8F;
  } else {
    return step(Step::Kind::Invalid, 1);
  }
  char32_t code_point = first & (0xFFu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if (i == text.size()) return step(Step::Kind::Incomplete, i);
    if (byte(i) < low || byte(i) > high) return step(Step::Kind::Invalid, i);
    code_point = code_point << 6 | (byte(i) & 0x3Fu);
    low = 0x80;
    high = 0xBF;
  }
  return step(Step::Kind::Character, length, code_point);
}

std::size_t valid_prefix(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    // Eight bytes of ASCII at once: most of most texts.
    std::uint64_t word;
    if (at + sizeof word <= text.size()) {
      std::memcpy(&word, text.data() + at, sizeof word);
      if (!(word & 0x8080808080808080u)) {
        at += sizeof word;
        continue;
      }
    }
    const Step step = next(text.substr(at));
    if (step.kind != Step::Kind::Character) return at;
    at += step.length;
  }
  return at;
}

void append_lossy(std::string_view text, std::string& out) {
  while (!text.empty()) {
    const std::size_t valid = valid_prefix(text);
    out.append(text.substr(0, valid));
    text.remove_prefix(valid);
    if (text.empty()) return;
    out.append(kReplacement);
    text.remove_prefix(next(text).length);
  }
}

void LossyStream::append(std::string_view bytes, std::string& out) {
  // Finish what was held back, one byte at a time: it is at most one character.
  while (!held_.empty() && !bytes.empty()) {
    held_.push_back(bytes.front());
    const Step step = next(held_);
    if (step.kind == Step::Kind::Incomplete) {
      bytes.remove_prefix(1);
      continue;
    }
    if (step.kind == Step::Kind::Character) {
      out.append(held_);
      bytes.remove_prefix(1);
    } else {
      // The held bytes are the maximal invalid part; the new byte begins something of its own.
      out.append(kReplacement);
    }
    held_.clear();
  }
  while (!bytes.empty()) {
    const std::size_t valid = valid_prefix(bytes);
    out.append(bytes.substr(0, valid));
    bytes.remove_prefix(valid);
    if (bytes.empty()) return;
    const Step step = next(bytes);
    if (step.kind == Step::Kind::Incomplete) {
      held_.assign(bytes);
      return;
    }
    out.append(kReplacement);
    bytes.remove_prefix(step.length);
  }
}

void LossyStream::finish(std::string& out) {
  if (!held_.empty()) out.append(kReplacement);
  held_.clear();
}

void append_code_point(char32_t code_point, std::string& out) {
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3F));
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

}  // namespace millrace::utf8
