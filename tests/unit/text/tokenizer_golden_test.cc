// What Hugging Face's `tokenizers` library computes: tools/golden makes the files.
#include <gtest/gtest.h>

#include "base/json.h"
#include "tests/unit/text/tokenizer_support.h"
#include "text/detokenizer.h"
#include "text/pretokenizer.h"
#include "text/tokenizer_table.h"

namespace millrace {
namespace {

Json fixture(const std::string& name) {
  auto json = read_json_file(text_data(name));
  EXPECT_TRUE(json) << (json ? "" : json.error().message);
  return json ? *json : Json();
}

std::string streamed(const Tokenizer& tokenizer, const std::vector<TokenId>& tokens, bool skip) {
  Detokenizer detokenizer(tokenizer, {.skip_special_tokens = skip});
  std::string text;
  for (const TokenId token : tokens) text += detokenizer.push(token);
  return text + detokenizer.flush();
}

TEST(TokenizerGolden, Lfm2Strings) {
  const Tokenizer& tokenizer = fixture_tokenizer();
  const Json data = fixture("tokenizer_cases.json");
  EXPECT_EQ(tokenizer.vocab_size(), data["vocab_size"].get<int>());
  ASSERT_EQ(data["cases"].size(), 409u);
  for (const Json& c : data["cases"]) {
    const auto text = c["text"].get<std::string>();
    std::vector<TokenId> ids = c["ids"];
    SCOPED_TRACE(c.dump());
    EXPECT_EQ(encoded(tokenizer, text), ids);
    EXPECT_EQ(tokenizer.decode(ids, {.skip_special_tokens = false}), text);
    const auto plain = c["decoded_skip_special"].get<std::string>();
    EXPECT_EQ(tokenizer.decode(ids), plain);
    EXPECT_EQ(streamed(tokenizer, ids, true), plain);
    ids.insert(ids.begin(), 1);
    EXPECT_EQ(encoded(tokenizer, text, {}), ids);
  }
}

TEST(TokenizerGolden, BytesThatAreNotUtf8) {
  const Json data = fixture("tokenizer_cases.json");
  ASSERT_EQ(data["byte_cases"].size(), 25u);
  for (const Json& c : data["byte_cases"]) {
    std::string bytes;
    const auto hex = c["bytes"].get<std::string>();
    for (std::size_t i = 0; i < hex.size(); i += 2)
      bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    EXPECT_EQ(encoded(fixture_tokenizer(), bytes), c["ids"].get<std::vector<TokenId>>()) << hex;
  }
}

TEST(TokenizerGolden, Decoding) {
  const Json data = fixture("tokenizer_decode_cases.json");
  ASSERT_EQ(data["cases"].size(), 80u);
  for (const Json& c : data["cases"]) {
    const std::vector<TokenId> ids = c["ids"];
    for (const bool skip : {false, true}) {
      const auto text = c[skip ? "decoded_skip_special" : "decoded"].get<std::string>();
      EXPECT_EQ(fixture_tokenizer().decode(ids, {.skip_special_tokens = skip}), text) << c.dump();
      EXPECT_EQ(streamed(fixture_tokenizer(), ids, skip), text) << c.dump();
    }
  }
}

// Every kind of component that is not refused.
TEST(TokenizerGolden, Variants) {
  const Json data = fixture("tokenizer_variants.json");
  std::size_t encodings = 0;
  for (const Json& variant : data["variants"]) {
    SCOPED_TRACE(variant["name"].get<std::string>());
    const auto model = data["models"][variant["model"].get<std::string>()].get<std::string>();
    const std::string text = "{\"model\":" + model + "," + variant["document"].dump().substr(1);
    const auto tokenizer = Tokenizer::from_json(text, "variant");
    ASSERT_TRUE(tokenizer) << tokenizer.error().message;
    const auto pretokenizer = Pretokenizer::from_json(variant["document"]["pre_tokenizer"]);
    ASSERT_TRUE(pretokenizer);
    for (const Json& c : variant["words"]) {
      std::vector<std::string> words;
      ASSERT_TRUE(pretokenizer->for_each_word(c[0].get<std::string>(), [&](std::string_view word) {
        words.push_back(to_byte_alphabet(word));
      }));
      EXPECT_EQ(words, c[1].get<std::vector<std::string>>()) << c.dump();
    }
    for (const Json& c : variant["encode"]) {
      const EncodeOptions options{.add_special_tokens = c[1], .parse_special = c[2]};
      EXPECT_EQ(encoded(*tokenizer, c[0].get<std::string>(), options),
                c[3].get<std::vector<TokenId>>())
          << c.dump();
      ++encodings;
    }
    for (const Json& c : variant["decode"]) {
      const std::vector<TokenId> ids = c[0];
      const auto expected = c[2].get<std::string>();
      EXPECT_EQ(tokenizer->decode(ids, {.skip_special_tokens = c[1]}), expected) << c.dump();
      EXPECT_EQ(streamed(*tokenizer, ids, c[1]), expected) << c.dump();
    }
  }
  EXPECT_GT(encodings, 2000u);
}

TEST(TokenizerGolden, WhatATokenIs) {
  const Tokenizer& t = fixture_tokenizer();
  EXPECT_EQ(t.id_of("<|im_end|>"), 7);
  EXPECT_TRUE(t.is_special(7));
  EXPECT_TRUE(t.is_added(7));
  EXPECT_EQ(t.token_bytes(7), "<|im_end|>");
  const std::optional<TokenId> think = t.id_of("<think>");
  ASSERT_TRUE(think);
  EXPECT_FALSE(t.is_special(*think));
  EXPECT_TRUE(t.is_added(*think));
  const std::optional<TokenId> the = t.id_of("Ġthe");
  ASSERT_TRUE(the);
  EXPECT_EQ(t.token_bytes(*the), " the");
  EXPECT_EQ(t.token_text(*the), "Ġthe");
  EXPECT_FALSE(t.is_added(*the));
  EXPECT_EQ(t.id_of("no such token"), std::nullopt);
  EXPECT_EQ(t.id_of(""), std::nullopt);
}

// The rows between the tokenizer's tokens and the model's vocabulary, and ids that cannot be.
TEST(TokenizerGolden, IdsWithoutToken) {
  const Tokenizer& t = fixture_tokenizer();
  for (const TokenId id : {-1, 645, 767, 1 << 22, std::numeric_limits<TokenId>::min(),
                           std::numeric_limits<TokenId>::max()}) {
    EXPECT_EQ(t.token_bytes(id), "");
    EXPECT_FALSE(t.is_special(id));
    EXPECT_FALSE(t.is_added(id));
    EXPECT_EQ(t.decode(std::vector<TokenId>{id, *t.id_of("a"), id}), "a");
  }
}

TEST(TokenizerGolden, FolderWithConfig) {
  const std::string folder = std::string(MILLRACE_SOURCE_DIR) + "/tests/data/golden/dense_f32";
  const auto t = Tokenizer::from_folder(folder);
  ASSERT_TRUE(t) << t.error().message;
  EXPECT_EQ(t->bos(), 1);
  EXPECT_EQ(t->eos(), 7);
  EXPECT_EQ(t->pad(), 0);
  EXPECT_TRUE(t->adds_bos());
  EXPECT_EQ(t->vocab_size(), 645);
  EXPECT_EQ(encoded(*t, "a", {}).front(), 1);
}

TEST(TokenizerGolden, ConfigChangesTokens) {
  const std::string text = read_file(text_data("tokenizer.json"));
  const auto t = Tokenizer::from_json(text, "t", R"({
      "bos_token": {"content": "<|startoftext|>", "lstrip": false}, "eos_token": "Ġthe",
      "add_bos_token": false, "add_eos_token": true,
      "added_tokens_decoder": {
        "643": {"content": "<think>", "special": true, "rstrip": true},
        "700": {"content": "<new>", "special": false, "lstrip": true}}})");
  ASSERT_TRUE(t) << t.error().message;
  EXPECT_TRUE(t->is_special(643));
  EXPECT_EQ(t->vocab_size(), 701);
  const TokenId the = *t->id_of("Ġthe");
  EXPECT_EQ(t->eos(), the);
  EXPECT_TRUE(t->is_special(the));
  EXPECT_FALSE(t->adds_bos());
  EXPECT_EQ(encoded(*t, "<think>  <new>", {}), (std::vector<TokenId>{643, 700, the}));
  EXPECT_EQ(t->decode(std::vector<TokenId>{643, 700, the}), "<new>");
  EXPECT_EQ(t->decode(std::vector<TokenId>{643, 701}, {.skip_special_tokens = false}), "<think>");
}

}  // namespace
}  // namespace millrace
