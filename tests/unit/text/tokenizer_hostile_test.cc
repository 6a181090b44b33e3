// Files that are wrong, by accident or on purpose.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/unit/text/tokenizer_support.h"

namespace millrace {
namespace {

using testing::HasSubstr;

constexpr std::string_view kModel =
    R"("model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]})";
constexpr std::string_view kPre =
    R"("pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false})";
constexpr std::string_view kDecoder = R"("decoder": {"type": "ByteLevel"})";

std::string file(std::string_view model, std::string_view pre = kPre,
                 std::string_view decoder = kDecoder, std::string_view more = "") {
  std::string text = "{";
  for (const std::string_view part : {model, pre, decoder, more})
    if (!part.empty()) text += std::string(text.size() > 1 ? ", " : "") + std::string(part);
  return text + "}";
}

std::string message(const std::string& text, std::string_view config = "") {
  const auto t = Tokenizer::from_json(text, "t.json", config);
  EXPECT_FALSE(t) << text.substr(0, 200);
  if (t) return "";
  EXPECT_THAT(t.error().message, testing::AnyOf(testing::StartsWith("t.json: "),
                                                testing::StartsWith("tokenizer_config.json: ")));
  EXPECT_THAT(t.error().message, testing::Not(HasSubstr("\n")));
  return t.error().message;
}

std::string with_model(const std::string& members) {
  return file(R"("model": {"type": "BPE", )" + members + "}");
}

TEST(TokenizerHostile, TheSmallestFileLoads) {
  const auto t = Tokenizer::from_json(file(kModel), "t.json");
  ASSERT_TRUE(t) << t.error().message;
  EXPECT_EQ(encoded(*t, "abba"), (std::vector<TokenId>{2, 1, 0}));
  EXPECT_EQ(encoded(*t, "a?b"), (std::vector<TokenId>{0, 1})) << "a byte without token is dropped";
}

TEST(TokenizerHostile, WrongShapes) {
  EXPECT_THAT(message(""), HasSubstr("not valid JSON"));
  EXPECT_THAT(message("[]"), HasSubstr("found array, expected an object"));
  EXPECT_THAT(message("3"), HasSubstr("found integer"));
  EXPECT_THAT(message("{}"), HasSubstr("model.type: found null, expected BPE"));
  EXPECT_THAT(message(R"({"model": []})"), HasSubstr("model: found array"));
  EXPECT_THAT(message(R"({"model": {"type": "Unigram"}})"), HasSubstr("model.type: found Unigram"));
  EXPECT_THAT(message(with_model(R"("merges": [])")), HasSubstr("model.vocab: found nothing"));
  EXPECT_THAT(message(with_model(R"("vocab": {})")), HasSubstr("model.merges: found nothing"));
  EXPECT_THAT(message(with_model(R"("vocab": [], "merges": [])")),
              HasSubstr("model.vocab: found array"));
  EXPECT_THAT(message(with_model(R"("vocab": {"a": "b"})")), HasSubstr("found string for \"a\""));
  EXPECT_THAT(message(with_model(R"("vocab": {"a": 1.5})")), HasSubstr("found number"));
  EXPECT_THAT(message(with_model(R"("vocab": {"a": {}})")), HasSubstr("found object"));
  EXPECT_THAT(message(with_model(R"("vocab": {"a": [0]})")), HasSubstr("found array"));
  EXPECT_THAT(message(with_model(R"("vocab": {}, "merges": {})")),
              HasSubstr("model.merges: found object"));
  EXPECT_THAT(message(with_model(R"("vocab": {}, "merges": [5])")), HasSubstr("merges[0]: found"));
  EXPECT_THAT(message(with_model(R"("vocab": {}, "merges": [{}])")), HasSubstr("merges[0]: found"));
  EXPECT_THAT(message(with_model(R"("vocab": {}, "merges": ["ab"])")), HasSubstr("two words"));
  EXPECT_THAT(message(with_model(R"("vocab": {}, "merges": ["a b c"])")), HasSubstr("two words"));
  EXPECT_THAT(message(with_model(R"("vocab": {}, "merges": [["a"]])")),
              HasSubstr("merges[0]: found a list of 1"));
  EXPECT_THAT(message(with_model(R"("vocab": {}, "merges": [["a", "b", "c"]])")),
              HasSubstr("found a list of 3"));
  EXPECT_THAT(message(with_model(R"("vocab": {}, "merges": [[["a"]]])")), HasSubstr("a pair"));
  EXPECT_THAT(message(with_model(R"("vocab": {}, "merges": [["a", 1]])")), HasSubstr("merges[0]"));
  EXPECT_THAT(message(with_model(R"("vocab": {}, "vocab": {})")), HasSubstr("twice"));
  EXPECT_THAT(message(R"({"a": 1, "a": 2})"), HasSubstr("key \"a\" twice"));
}

TEST(TokenizerHostile, Ids) {
  const auto vocab = [](const std::string& entries) {
    return message(with_model(R"("merges": [], "vocab": {)" + entries + "}"));
  };
  EXPECT_THAT(vocab(R"("a": -1)"), HasSubstr("found id -1"));
  EXPECT_THAT(vocab(R"("a": 4194304)"), HasSubstr("found id 4194304"));
  EXPECT_THAT(vocab(R"("a": 18446744073709551615)"), HasSubstr("found id 18446744073709551615"));
  EXPECT_THAT(vocab(R"("a": 99999999999999999999999)"), HasSubstr("found number"));
  EXPECT_THAT(vocab(R"("a": 7, "b": 7)"), HasSubstr("found id 7 twice: \"a\" and \"b\""));
  EXPECT_THAT(vocab(R"("a": 7, "a": 8)"), HasSubstr("found token \"a\" twice: ids 7 and 8"));
  EXPECT_THAT(vocab(R"("": 7)"), HasSubstr("without text at id 7"));
  const auto largest =
      Tokenizer::from_json(with_model(R"("merges": [], "vocab": {"a": 4194303})"), "t.json");
  ASSERT_TRUE(largest) << largest.error().message;
  EXPECT_EQ(encoded(*largest, "aa"), (std::vector<TokenId>{4194303, 4194303}));
}

TEST(TokenizerHostile, MergesOfUnknownTokens) {
  const auto merges = [](const std::string& pair) {
    return message(with_model(R"("vocab": {"a": 0, "b": 1}, "merges": [)" + pair + "]"));
  };
  EXPECT_THAT(merges(R"(["x", "b"])"),
              HasSubstr("merge 0 (\"x\" and \"b\"): \"x\" is not a token"));
  EXPECT_THAT(merges(R"("a y")"), HasSubstr("\"y\" is not a token"));
  EXPECT_THAT(merges(R"(["a", "b"])"), HasSubstr("\"ab\" is not a token"));
  EXPECT_THAT(merges(R"(["", "b"])"), HasSubstr("\"\" is not a token"));
}

TEST(TokenizerHostile, ComponentsThatAreRefused) {
  EXPECT_THAT(message(file(kModel, kPre, kDecoder, R"("normalizer": {"type": "NFC"})")),
              HasSubstr("normalizer.type: found NFC, expected none"));
  EXPECT_THAT(message(file(kModel, kPre, "")), HasSubstr("decoder.type: found null"));
  EXPECT_THAT(message(file(kModel, kPre, R"("decoder": {"type": "Metaspace"})")),
              HasSubstr("decoder.type: found Metaspace"));
  EXPECT_THAT(message(file(kModel, "")), HasSubstr("pre_tokenizer: found null"));
  EXPECT_THAT(
      message(file(kModel, kPre, kDecoder, R"("post_processor": {"type": "RobertaProcessing"})")),
      HasSubstr("post_processor.type: found RobertaProcessing"));
  const auto model = [](const std::string& member) {
    return message(with_model(R"("vocab": {"a": 0}, "merges": [], )" + member));
  };
  EXPECT_THAT(model(R"("dropout": 0.1)"), HasSubstr("model: dropout: found 0.1"));
  EXPECT_THAT(model(R"("unk_token": "a")"), HasSubstr("lacks some of the 256 bytes"));
  EXPECT_THAT(model(R"("byte_fallback": true)"), HasSubstr("lacks some of the 256 bytes"));
  EXPECT_THAT(model(R"("continuing_subword_prefix": "##")"), HasSubstr("found \"##\""));
  EXPECT_THAT(model(R"("end_of_word_suffix": "</w>")"), HasSubstr("found \"</w>\""));
  EXPECT_THAT(model(R"("ignore_merges": 1)"), HasSubstr("ignore_merges: found integer"));
}

TEST(TokenizerHostile, AddedTokens) {
  const auto added = [](const std::string& tokens) {
    return message(file(kModel, kPre, kDecoder, R"("added_tokens": )" + tokens));
  };
  EXPECT_THAT(added("{}"), HasSubstr("added_tokens: found object"));
  EXPECT_THAT(added("[7]"), HasSubstr("added_tokens[0]: found integer"));
  EXPECT_THAT(added(R"([{"id": 5}])"), HasSubstr("content: found nothing"));
  EXPECT_THAT(added(R"([{"content": "x"}])"), HasSubstr("id: found nothing"));
  EXPECT_THAT(added(R"([{"content": "x", "id": -1}])"), HasSubstr("id: found -1"));
  EXPECT_THAT(added(R"([{"content": "x", "id": 4294967296}])"), HasSubstr("found 4294967296"));
  EXPECT_THAT(added(R"([{"content": "x", "id": 1}])"), HasSubstr("id 1 twice"));
  EXPECT_THAT(added(R"([{"content": "b", "id": 9}])"), HasSubstr("\"b\": found id 9, expected 1"));
  EXPECT_THAT(added(R"([{"content": "x", "id": 5, "special": "yes"}])"),
              HasSubstr("special: found string"));
  EXPECT_THAT(added(R"([{"id": 5, "content": ")" + std::string(1025, 'x') + "\"}]"),
              HasSubstr("1025 bytes, the limit is 1024"));
}

TEST(TokenizerHostile, Templates) {
  const auto single = [](const std::string& pieces) {
    return message(file(kModel, kPre, kDecoder,
                        R"("post_processor": {"type": "TemplateProcessing", "special_tokens":
                        {"<s>": {"ids": [0]}, "<t>": {"ids": ["x"]}, "<u>": {"ids": [77]}},
                        "single": )" +
                            pieces + "}"));
  };
  EXPECT_THAT(single("{}"), HasSubstr("single: found object, expected a list"));
  EXPECT_THAT(single("[]"), HasSubstr("no sequence A"));
  EXPECT_THAT(single("[4]"), HasSubstr("single: expected"));
  EXPECT_THAT(single(R"([{"Sequence": {"id": "B"}}])"), HasSubstr("single: expected"));
  EXPECT_THAT(single(R"([{"Sequence": {"id": "A"}}, {"Sequence": {"id": "A"}}])"),
              HasSubstr("once"));
  EXPECT_THAT(single(R"([{"SpecialToken": {"id": "<v>"}}])"), HasSubstr("no entry for \"<v>\""));
  EXPECT_THAT(single(R"([{"SpecialToken": {"id": "<t>"}}])"), HasSubstr("<t>.ids: found string"));
  EXPECT_THAT(single(R"([{"SpecialToken": {"id": "<u>"}}, {"Sequence": {"id": "A"}}])"),
              HasSubstr("found id 77, which is no token"));
}

TEST(TokenizerHostile, Configs) {
  const std::string good = file(kModel);
  EXPECT_THAT(message(good, "{"), HasSubstr("tokenizer_config.json: not valid JSON"));
  EXPECT_THAT(message(good, "[]"), HasSubstr("tokenizer_config.json: found array"));
  EXPECT_THAT(message(good, R"({"bos_token": "zz"})"),
              HasSubstr("bos_token: found \"zz\", which is no token"));
  EXPECT_THAT(message(good, R"({"eos_token": 4})"), HasSubstr("eos_token: found integer"));
  EXPECT_THAT(message(good, R"({"added_tokens_decoder": []})"), HasSubstr("found array"));
  EXPECT_THAT(message(good, R"({"added_tokens_decoder": {"x": {"content": "y"}}})"),
              HasSubstr("found key \"x\""));
  EXPECT_THAT(message(good, R"({"added_tokens_decoder": {"2": {"content": "y"}}})"),
              HasSubstr("found id 2 twice"));
  EXPECT_THAT(message(good, R"({"added_tokens_decoder": {"99999999999": {"content": "y"}}})"),
              HasSubstr("99999999999"));
}

// No part of a good file is a good file, and none does harm.
TEST(TokenizerHostile, TruncatedFiles) {
  const std::string whole = read_file(text_data("tokenizer.json"));
  const std::size_t end = whole.find_last_of('}');
  for (std::size_t size = 0; size <= end; size += size < 400 || end - size < 40 ? 1 : 997)
    EXPECT_FALSE(Tokenizer::from_json(whole.substr(0, size), "t.json")) << size;
}

TEST(TokenizerHostile, DeepAndWideFiles) {
  EXPECT_THAT(message(std::string(100000, '[')), HasSubstr("nested deeper than 64"));
  std::string nested = "{\"a\":";
  for (int i = 0; i < 1000; ++i) nested += "{\"a\":";
  EXPECT_THAT(message(nested), HasSubstr("nested deeper than 64"));
  std::string wide = "[0";
  for (int i = 0; i < 1 << 20; ++i) wide += ",0";
  EXPECT_THAT(message(wide + "]"), HasSubstr("more than 1048576 values"));
  // Many keys in one object must not cost their square.
  std::string keys = "{";
  for (int i = 0; i < 300000; ++i) keys += "\"" + std::to_string(i) + "\":0,";
  EXPECT_THAT(message(keys + "\"x\":0}"), HasSubstr("model.type"));
}

TEST(TokenizerHostile, CatastrophicPattern) {
  const auto t =
      Tokenizer::from_json(file(kModel, R"("pre_tokenizer": {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": "(?:a|a)*c"}, "behavior": "Isolated",
         "invert": false}, {"type": "ByteLevel", "add_prefix_space": false}]})"),
                           "t.json");
  ASSERT_TRUE(t) << t.error().message;
  EXPECT_TRUE(t->encode("bb"));
  const auto tokens = t->encode(std::string(5000, 'a') + "bc");
  ASSERT_FALSE(tokens);
  EXPECT_EQ(tokens.error().code, ErrorCode::TooLarge);
  EXPECT_THAT(tokens.error().message,
              HasSubstr("pre_tokenizer.pretokenizers[0].pattern: the pattern gave up at byte 0"));
}

TEST(TokenizerHostile, FoldersAndFiles) {
  const auto folder = Tokenizer::from_folder("/no/such/folder");
  ASSERT_FALSE(folder);
  EXPECT_EQ(folder.error().code, ErrorCode::NotFound);
  EXPECT_THAT(folder.error().message, HasSubstr("/no/such/folder/tokenizer.json"));
  EXPECT_FALSE(Tokenizer::from_json_file("/"));
}

}  // namespace
}  // namespace millrace
