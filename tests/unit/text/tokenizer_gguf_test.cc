#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/json.h"
#include "tests/unit/text/tokenizer_support.h"

namespace millrace {
namespace {

// The fixture as a converter writes it into GGUF: padding rows are tokens of type UNUSED.
GgufTokenizer fixture_gguf() {
  const Json file = read_json_file(text_data("tokenizer.json")).value();
  GgufTokenizer gguf{.model = "gpt2", .pre = "lfm2"};
  gguf.tokens.resize(768);
  gguf.token_types.assign(768, 5);
  for (std::size_t i = 0; i < 768; ++i) gguf.tokens[i] = "[PAD" + std::to_string(i) + "]";
  for (const auto& [text, id] : file["model"]["vocab"].items()) {
    gguf.tokens[id.get<std::size_t>()] = text;
    gguf.token_types[id.get<std::size_t>()] = 1;
  }
  for (const Json& token : file["added_tokens"]) {
    gguf.tokens[token["id"].get<std::size_t>()] = token["content"];
    gguf.token_types[token["id"].get<std::size_t>()] = token["special"] ? 3 : 4;
  }
  for (const Json& merge : file["model"]["merges"])
    gguf.merges.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
  gguf.bos_id = 1;
  gguf.eos_id = 7;
  gguf.padding_id = 0;
  return gguf;
}

TEST(TokenizerGguf, GivesTheSameTokens) {
  const auto t = Tokenizer::from_gguf(fixture_gguf(), "model.gguf");
  ASSERT_TRUE(t) << t.error().message;
  const Json data = read_json_file(text_data("tokenizer_cases.json")).value();
  for (const Json& c : data["cases"]) {
    std::vector<TokenId> ids = c["ids"];
    EXPECT_EQ(encoded(*t, c["text"].get<std::string>()), ids) << c.dump();
    EXPECT_EQ(t->decode(ids), c["decoded_skip_special"].get<std::string>());
    ids.insert(ids.begin(), 1);
    EXPECT_EQ(encoded(*t, c["text"].get<std::string>(), {}), ids);
  }
  EXPECT_EQ(t->vocab_size(), 645);
  EXPECT_EQ(t->token_bytes(700), "");
  EXPECT_EQ(t->bos(), 1);
  EXPECT_EQ(t->eos(), 7);
  EXPECT_EQ(t->pad(), 0);
  EXPECT_TRUE(t->adds_bos());
}

TEST(TokenizerGguf, Gpt2SplitsOtherwise) {
  GgufTokenizer gguf = fixture_gguf();
  gguf.pre = "gpt-2";
  const auto t = Tokenizer::from_gguf(gguf, "model.gguf");
  ASSERT_TRUE(t);
  EXPECT_FALSE(t->adds_bos());
  // Digits stay together, and what only a whole word can reach is not reached.
  EXPECT_NE(encoded(*t, " zyxwv"), encoded(fixture_tokenizer(), " zyxwv"));
  EXPECT_EQ(t->decode(encoded(*t, "1234 a'S\n\nb")), "1234 a'S\n\nb");
}

TEST(TokenizerGguf, RefusesWhatItDoesNotKnow) {
  const auto message = [](auto change) {
    GgufTokenizer gguf = fixture_gguf();
    change(gguf);
    const auto t = Tokenizer::from_gguf(gguf, "model.gguf");
    EXPECT_FALSE(t);
    return t ? "" : t.error().message;
  };
  EXPECT_EQ(message([](auto& g) { g.model = "llama"; }),
            "model.gguf: tokenizer.ggml: model: found \"llama\", expected \"gpt2\"");
  EXPECT_EQ(message([](auto& g) { g.pre = "qwen2"; }),
            "model.gguf: tokenizer.ggml: pre: found \"qwen2\", expected lfm2, llama-bpe or gpt-2");
  EXPECT_THAT(message([](auto& g) { g.token_types.pop_back(); }), testing::HasSubstr("767"));
  EXPECT_THAT(message([](auto& g) { g.token_types[9] = 6; }),
              testing::HasSubstr("token_type[9]: found 6"));
  EXPECT_THAT(message([](auto& g) { g.merges.push_back("a b c"); }),
              testing::HasSubstr("two words"));
  EXPECT_THAT(message([](auto& g) { g.merges.push_back("a nosuch"); }),
              testing::HasSubstr("\"nosuch\" is not a token"));
  EXPECT_THAT(message([](auto& g) { g.tokens[300] = g.tokens[301]; }), testing::HasSubstr("twice"));
  EXPECT_THAT(message([](auto& g) { g.tokens[300] = "\xff\xfe"; }),
              testing::HasSubstr("not UTF-8"));
  EXPECT_THAT(message([](auto& g) { g.tokens[300].clear(); }), testing::HasSubstr("without text"));
  EXPECT_THAT(message([](auto& g) { g.bos_id = 767; }), testing::HasSubstr("767"));
  EXPECT_THAT(message([](auto& g) { g.eos_id = -1; }), testing::HasSubstr("eos_token_id"));
  EXPECT_THAT(message([](auto& g) { g.padding_id = std::int64_t{1} << 40; }),
              testing::HasSubstr("padding_token_id"));
}

}  // namespace
}  // namespace millrace
