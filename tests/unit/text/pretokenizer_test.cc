#include "text/pretokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/json.h"
#include "text/pretokenizer_scan.h"
#include "text/tokenizer_unicode.h"
#include "text/tokenizer_utf8.h"

namespace millrace {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> matches(const SplitRegex& regex, std::string_view text) {
  std::vector<std::string> found;
  EXPECT_TRUE(regex.for_each_match(text, [&](std::size_t begin, std::size_t end) {
    found.emplace_back(text.substr(begin, end - begin));
  }));
  return found;
}

std::vector<std::string> scanned(std::string_view text,
                                 std::size_t (*piece_end)(std::string_view, std::size_t)) {
  std::vector<std::string> pieces;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = piece_end(text, begin);
    EXPECT_GT(end, begin);
    pieces.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  return pieces;
}

// The scans written by hand against the patterns they stand for, on characters that no edition of
// Unicode classes differently.
TEST(PretokenizerScan, EqualsThePatterns) {
  const auto llama3 = SplitRegex::compile(kLlama3Pattern, "p");
  const auto gpt2 = SplitRegex::compile(kGpt2Pattern, "p");
  ASSERT_TRUE(llama3) << llama3.error().message;
  ASSERT_TRUE(gpt2) << gpt2.error().message;
  const std::vector<std::string> alphabet = {
      "a",      "S",      "s",      "t",  "l", "L",    "r",  "e",  "v",      "M",      "D",
      "'",      "'",      " ",      " ",  " ", "\n",   "\r", "\t", "\v",     "\u0085", "\u00a0",
      "\u2028", "\u3000", "\u180e", "1",  "2", "٣",    "²",  "Ⅳ",  "!",      "-",      "_",
      "\u0301", "é",      "ſ",      "水", "я", "🙂", "𠀀", "𝟘",  "\u200d", "\x01",   "\x7f"};
  std::mt19937 random(1);
  for (int i = 0; i < 30000; ++i) {
    std::string text;
    for (std::size_t n = 1 + random() % 24; n > 0; --n)
      text += alphabet[random() % alphabet.size()];
    ASSERT_EQ(scanned(text, llama3_piece_end), matches(*llama3, text));
    ASSERT_EQ(scanned(text, gpt2_piece_end), matches(*gpt2, text));
  }
}

TEST(PretokenizerScan, Classes) {
  using unicode::CharClass;
  EXPECT_EQ(unicode::char_class('a'), CharClass::Letter);
  EXPECT_EQ(unicode::char_class(0x20000), CharClass::Letter);
  EXPECT_EQ(unicode::char_class(0x1D7D8), CharClass::Number);
  EXPECT_EQ(unicode::char_class(0x2160), CharClass::Number);
  EXPECT_EQ(unicode::char_class(0x85), CharClass::Space);
  EXPECT_EQ(unicode::char_class(0x180E), CharClass::Other);
  EXPECT_EQ(unicode::char_class(0x0301), CharClass::Other);
  EXPECT_EQ(unicode::char_class(0x10FFFF), CharClass::Other);
  EXPECT_TRUE(unicode::is_word(0x0301));
  EXPECT_TRUE(unicode::is_word('_'));
  EXPECT_TRUE(unicode::is_word(0x200D));
  EXPECT_FALSE(unicode::is_word(0xB2));
  EXPECT_FALSE(unicode::is_word('-'));
}

TEST(SplitRegex, RewritesWhatPcre2ReadsOtherwise) {
  const auto translated = [](std::string_view pattern) {
    return translate_split_pattern(pattern, "p").value();
  };
  EXPECT_EQ(translated(R"([^\s\d]\S\D)"), R"([^\p{White_Space}\p{Nd}]\P{White_Space}\P{Nd})");
  EXPECT_EQ(translated(R"(\p{L}\P{Lu}\p{^N})"), R"(\p{L}\P{Lu}\p{^N})");
  EXPECT_EQ(translated(R"(\p{Han})"), R"(\p{sc:Han})");
  EXPECT_EQ(translated(R"(\u00e9\x41\x{1F642})"), R"(\x{00e9}\x{41}\x{1F642})");
  EXPECT_EQ(
      translated(R"([\w]\w)"),
      R"([\p{Alphabetic}\p{M}\p{Nd}\p{Pc}][\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\x{B2}\x{B3}\x{B9}\x{BC}-\x{BE}])");
}

TEST(SplitRegex, RefusesWhatItCannotRewrite) {
  for (const std::string_view pattern :
       {R"((a)\1)",   R"(\h)",     R"(\R)",          R"(\K)",     R"(\b)",
        R"([a[b]])",  R"([a&&b])", R"([[:alpha:]])", R"([\W])",   R"(a{2}+)",
        R"(a{,3})",   R"(a{x})",   R"((?m)a)",       R"(a(?i)b)", R"((?<n>a))",
        R"((*UTF)a)", R"((?R))",   R"(\xe9)",        R"(\u12)",   R"(\x{110000000})",
        R"(\pL)",     R"(\p{L)",   R"([)",           R"([a)",     R"([])",
        R"(\)",       R"((a)",     R"(a))",          R"(*)",      R"(\p{NoSuchScript})",
        R"([\)",      R"(a{2}?)",  R"(\Q)",          R"(\C)",     R"([b-a])",
        R"(\c)",      R"((?#)"}) {
    const auto regex = SplitRegex::compile(pattern, "the field");
    ASSERT_FALSE(regex) << pattern;
    EXPECT_THAT(regex.error().message, HasSubstr("the field: found")) << pattern;
  }
  EXPECT_FALSE(SplitRegex::compile(std::string(200, '('), "p"));
  EXPECT_FALSE(SplitRegex::compile(std::string(1 << 20, 'a'), "p"));
  EXPECT_FALSE(SplitRegex::compile("\xff", "p"));
}

TEST(SplitRegex, EscapedTextMatchesItself) {
  const std::string text = R"(a.b*c+?()|[]{}^$\-#&~ é)";
  const auto regex = SplitRegex::compile(SplitRegex::escape(text), "p");
  ASSERT_TRUE(regex) << regex.error().message;
  EXPECT_THAT(matches(*regex, "x" + text + "y" + text), ElementsAre(text, text));
  EXPECT_THAT(matches(*regex, "a-b"), ElementsAre());
}

TEST(SplitRegex, CatastrophicPatternsGiveUp) {
  for (const std::string_view pattern :
       {R"((?:a|a)*b)", R"((?:a*)*b)", R"((?:a+)+b)", R"((?:(?:a?){30}){30}b)"}) {
    const auto regex = SplitRegex::compile(pattern, "pre_tokenizer.pattern");
    if (!regex) continue;  // too large to compile is an answer as well
    const Status status =
        regex->for_each_match(std::string(4000, 'a') + "cb", [](std::size_t, std::size_t) {});
    ASSERT_FALSE(status) << pattern;
    EXPECT_EQ(status.error().code, ErrorCode::TooLarge);
    EXPECT_THAT(status.error().message, HasSubstr("pre_tokenizer.pattern: the pattern gave up"));
  }
}

// Deeper than the compiled code's first stack.
TEST(SplitRegex, LongMatchesFindMemory) {
  const auto regex = SplitRegex::compile(R"((?:ab|a)+c)", "p");
  ASSERT_TRUE(regex);
  std::string text(20000, 'a');
  text += "c";
  EXPECT_EQ(matches(*regex, text), std::vector{text});
}

TEST(Pretokenizer, RefusesByName) {
  const auto message = [](std::string_view json) {
    const auto made = Pretokenizer::from_json(parse_json(json, "test").value());
    EXPECT_FALSE(made) << json;
    return made ? "" : made.error().message;
  };
  EXPECT_EQ(message("null"), "pre_tokenizer: found null, expected an object with a type");
  EXPECT_EQ(message(R"({"type": "Metaspace"})"),
            "pre_tokenizer.type: found Metaspace, expected ByteLevel as the last step");
  EXPECT_EQ(message(R"({"type": "Sequence", "pretokenizers": [{"type": "Whitespace"},
                       {"type": "ByteLevel", "add_prefix_space": false}]})"),
            "pre_tokenizer.pretokenizers[0]: type: found Whitespace, expected Split or Digits "
            "before ByteLevel");
  EXPECT_THAT(message(R"({"type": "Sequence", "pretokenizers": []})"), HasSubstr("1 to 16"));
  EXPECT_THAT(message(R"({"type": "Sequence", "pretokenizers": [3]})"),
              HasSubstr("pretokenizers[0]: found integer"));
  EXPECT_THAT(message(R"({"type": "ByteLevel"})"), HasSubstr("add_prefix_space"));
  EXPECT_THAT(message(R"({"type": "ByteLevel", "add_prefix_space": 1})"),
              HasSubstr("found integer"));
  EXPECT_THAT(message(R"({"type": 5})"), HasSubstr("expected a string"));
  const auto split = [&](const std::string& members) {
    return message(R"({"type": "Sequence", "pretokenizers": [{"type": "Split", )" + members +
                   R"(}, {"type": "ByteLevel", "add_prefix_space": false}]})");
  };
  EXPECT_THAT(split(R"("behavior": "Shuffled")"), HasSubstr("found Shuffled"));
  EXPECT_THAT(split(R"("behavior": "Isolated")"), HasSubstr("invert"));
  EXPECT_THAT(split(R"("behavior": "Isolated", "invert": false)"), HasSubstr("pattern"));
  EXPECT_THAT(split(R"("behavior": "Isolated", "invert": false, "pattern": {})"),
              HasSubstr("one of Regex and String"));
  EXPECT_THAT(split(R"("behavior": "Isolated", "invert": false, "pattern": {"Regex": "\\K"})"),
              HasSubstr("pretokenizers[0].pattern: found an escape"));
}

TEST(Pretokenizer, AnEmptyTextHasNoWords) {
  for (const Pretokenizer& made : {Pretokenizer::llama3(), Pretokenizer::gpt2()})
    EXPECT_TRUE(made.for_each_word("", [](std::string_view) { FAIL(); }));
}

}  // namespace
}  // namespace millrace
