// What must hold whatever the text.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "base/json.h"
#include "tests/unit/text/tokenizer_support.h"
#include "text/detokenizer.h"
#include "text/tokenizer_bpe.h"
#include "text/tokenizer_utf8.h"

namespace millrace {
namespace {

// Characters that meet every branch of the splits, and whole specials.
std::string random_text(std::mt19937& random, std::size_t pieces, bool specials) {
  static const std::vector<std::string> kPieces = {"a",
                                                   "b",
                                                   "E",
                                                   "s",
                                                   "S",
                                                   "t",
                                                   "'",
                                                   "'s",
                                                   "'LL",
                                                   "'re",
                                                   "ſ",
                                                   " ",
                                                   "  ",
                                                   "\n",
                                                   "\r",
                                                   "\r\n",
                                                   "\t",
                                                   "\u00a0",
                                                   "!",
                                                   "...",
                                                   "-",
                                                   "_",
                                                   "1",
                                                   "22",
                                                   "4444",
                                                   "\u00b2",
                                                   "水",
                                                   "Ω",
                                                   "é",
                                                   "e\u0301",
                                                   "🙂",
                                                   "\u200d",
                                                   "\ufeff",
                                                   "the",
                                                   " the",
                                                   " zyxwv",
                                                   std::string(1, '\0'),
                                                   "\x7f",
                                                   "\u2028",
                                                   "\U0010ffff",
                                                   "ﬆ"};
  static const std::vector<std::string> kSpecials = {"<|im_end|>", "<think>", "<|im_", "<image>"};
  std::string text;
  for (std::size_t i = 0; i < pieces; ++i) {
    if (specials && random() % 8 == 0)
      text += kSpecials[random() % kSpecials.size()];
    else
      text += kPieces[random() % kPieces.size()];
  }
  return text;
}

TEST(TokenizerProperty, DecodeGivesTheTextBack) {
  std::mt19937 random(1);
  for (int i = 0; i < 4000; ++i) {
    const std::string text = random_text(random, random() % 40, true);
    for (const bool parse : {true, false}) {
      const auto tokens =
          encoded(fixture_tokenizer(), text, {.add_special_tokens = false, .parse_special = parse});
      EXPECT_EQ(fixture_tokenizer().decode(tokens, {.skip_special_tokens = false}), text);
      // What is not looked for is not found.
      for (const TokenId token : tokens)
        EXPECT_FALSE(!parse && fixture_tokenizer().is_special(token));
    }
  }
}

TEST(TokenizerProperty, AnyBytesBecomeTheirReplacement) {
  std::mt19937 random(2);
  for (int i = 0; i < 4000; ++i) {
    std::string bytes;
    for (std::size_t n = random() % 30; n > 0; --n) {
      constexpr unsigned char kEdges[] = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F,
                                          0xA0, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0,
                                          0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xFF};
      bytes.push_back(static_cast<char>(kEdges[random() % std::size(kEdges)]));
    }
    std::string expected;
    utf8::append_lossy(bytes, expected);
    ASSERT_EQ(utf8::valid_prefix(expected), expected.size());
    const auto tokens = encoded(fixture_tokenizer(), bytes);
    EXPECT_EQ(fixture_tokenizer().decode(tokens, {.skip_special_tokens = false}), expected);

    // The same bytes in pieces.
    utf8::LossyStream stream;
    std::string streamed;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t n = 1 + random() % 4;
      stream.append(std::string_view(bytes).substr(at, n), streamed);
      ASSERT_EQ(utf8::valid_prefix(streamed), streamed.size());
      at += n;
    }
    stream.finish(streamed);
    EXPECT_EQ(streamed, expected);
  }
}

TEST(TokenizerProperty, StreamedTextIsTheDecodedText) {
  std::mt19937 random(3);
  const Tokenizer& t = fixture_tokenizer();
  for (int i = 0; i < 4000; ++i) {
    std::vector<TokenId> tokens;
    for (std::size_t n = random() % 40; n > 0; --n)
      tokens.push_back(random() % 3 == 0 ? static_cast<TokenId>(random() % 900) - 50
                                         : 119 + static_cast<TokenId>(random() % 256));
    for (const bool skip : {false, true}) {
      Detokenizer detokenizer(t, {.skip_special_tokens = skip});
      std::string text;
      for (const TokenId token : tokens) {
        const std::string piece = detokenizer.push(token);
        ASSERT_EQ(utf8::valid_prefix(piece), piece.size()) << "half a character";
        text += piece;
      }
      EXPECT_EQ(text + detokenizer.flush(), t.decode(tokens, {.skip_special_tokens = skip}));
      EXPECT_EQ(detokenizer.flush(), "");
    }
  }
}

// The merge of short words and the heap of long ones are one algorithm: a word longer than the
// limit, made of two without a pair across, gives both their tokens.
TEST(TokenizerProperty, LongAndShortWordsMergeAlike) {
  TokenTable table;
  std::vector<Merge> merges;
  std::mt19937 random(4);
  for (int byte = 0; byte < 256; ++byte) {
    const char c = static_cast<char>(byte);
    ASSERT_TRUE(table.add(to_byte_alphabet({&c, 1}), byte));
  }
  std::vector<std::string> parts = {"a", "b", "c"};
  while (merges.size() < 400) {
    const Merge merge{parts[random() % parts.size()], parts[random() % parts.size()]};
    const std::string whole = merge.first + merge.second;
    if (whole.size() > 12) continue;
    if (table.id_of(whole) < 0) {
      ASSERT_TRUE(table.add(whole, table.size()));
      parts.push_back(whole);
    }
    merges.push_back(merge);
  }
  const auto model = BytePairModel::build(table, merges, false);
  ASSERT_TRUE(model);
  BytePairModel::Scratch scratch;
  for (int i = 0; i < 2000; ++i) {
    std::string left, right;
    for (std::size_t n = 1 + random() % 50; n > 0; --n) left += "abc"[random() % 3];
    for (std::size_t n = 1 + random() % 50; n > 0; --n) right += "abc"[random() % 3];
    std::vector<TokenId> apart, together;
    model->encode(table, left, scratch, apart);
    apart.push_back('-');
    model->encode(table, right, scratch, apart);
    model->encode(table, left + "-" + right, scratch, together);
    EXPECT_EQ(together, apart);
  }
}

double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// Quadratic behaviour would take hours; the bound only has to tell the two apart on any machine.
TEST(TokenizerProperty, LongInputsTakeLinearTime) {
  constexpr std::size_t kLength = 1 << 20;
  std::string syllables, tags;
  while (syllables.size() < kLength) syllables += "thewater";
  while (tags.size() < kLength) tags += "<|img_row_1_col_";
  const std::vector<std::string> texts = {std::string(kLength, 'a'),
                                          std::string(kLength, ' '),
                                          std::string(kLength, '\n'),
                                          std::string(kLength, '1'),
                                          std::string(kLength, '!'),
                                          std::string(kLength, '<'),
                                          std::string(kLength, '\''),
                                          std::string(kLength, '\xff'),
                                          syllables,
                                          tags,
                                          std::string(kLength, ' ') + "x"};
  for (const std::string& text : texts) {
    const double seconds = seconds_of([&] {
      const auto tokens = encoded(fixture_tokenizer(), text);
      const std::string decoded = fixture_tokenizer().decode(tokens);
      EXPECT_TRUE(decoded == text || text.front() == '\xff');
    });
    EXPECT_LT(seconds, 20) << text.substr(0, 16);
  }
}

TEST(TokenizerProperty, OneTokenizerManyThreads) {
  std::mt19937 random(5);
  std::vector<std::string> texts;
  std::vector<std::vector<TokenId>> expected;
  for (int i = 0; i < 200; ++i) {
    texts.push_back(random_text(random, 60, true));
    expected.push_back(encoded(fixture_tokenizer(), texts.back()));
  }
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (std::size_t thread = 0; thread < 8; ++thread)
    threads.emplace_back([&, thread, tokenizer = fixture_tokenizer()] {
      for (std::size_t i = 0; i < 400; ++i) {
        const std::size_t which = (i * 7 + thread * 13) % texts.size();
        const auto tokens = tokenizer.encode(texts[which], {.add_special_tokens = false});
        if (!tokens || *tokens != expected[which]) ++wrong;
        if (tokenizer.decode(*tokens, {.skip_special_tokens = false}) != texts[which]) ++wrong;
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace millrace
