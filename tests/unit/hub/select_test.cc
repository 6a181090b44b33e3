#include "hub/select.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace millrace::hub {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<RemoteFile> listing_of(std::vector<std::string> paths) {
  std::sort(paths.begin(), paths.end());
  std::vector<RemoteFile> files;
  for (std::string& path : paths) files.push_back({std::move(path)});
  return files;
}

Result<Selection> select(const std::vector<std::string>& paths, const std::string& ref,
                         const Filters& filters = {}) {
  return select_files(listing_of(paths), *parse_model_ref(ref), filters);
}

std::vector<std::string> paths_of(const Result<Selection>& selection) {
  std::vector<std::string> paths;
  if (!selection) return {"error: " + selection.error().message};
  for (const RemoteFile& file : selection->files) paths.push_back(file.path);
  return paths;
}

const std::vector<std::string> kModel = {"README.md",
                                         "LICENSE",
                                         ".gitattributes",
                                         "config.json",
                                         "tokenizer.json",
                                         "tokenizer_config.json",
                                         "chat_template.jinja",
                                         "model.safetensors",
                                         "generation_config.json",
                                         "special_tokens_map.json",
                                         "preprocessor_config.json",
                                         "processor_config.json",
                                         "original/model.safetensors",
                                         "onnx/model.onnx",
                                         "vocab.txt"};

const std::vector<std::string> kGgufs = {"LFM2-1.2B-Q4_0.gguf",
                                         "LFM2-1.2B-Q4_K_M.gguf",
                                         "LFM2-1.2B-Q4_K.gguf",
                                         "LFM2-1.2B-Q8_0.gguf",
                                         "mmproj-LFM2-1.2B-Q8_0.gguf",
                                         "LFM2-1.2B-F16-00001-of-00002.gguf",
                                         "LFM2-1.2B-F16-00002-of-00002.gguf",
                                         "README.md"};

TEST(Select, WhatRunningAModelNeeds) {
  EXPECT_THAT(paths_of(select(kModel, "a/b")),
              ElementsAre("chat_template.jinja", "config.json", "generation_config.json",
                          "model.safetensors", "preprocessor_config.json", "processor_config.json",
                          "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"));
  EXPECT_EQ(select(kModel, "a/b")->gguf, "");
}

TEST(Select, IncludeAndExclude) {
  EXPECT_THAT(paths_of(select(kModel, "a/b", {{"*.md", "onnx/"}, {}})),
              ElementsAre("README.md", "onnx/model.onnx"));
  EXPECT_THAT(paths_of(select(kModel, "a/b", {{"*model*"}, {"*.onnx", "original/*"}})),
              ElementsAre("model.safetensors"));
  EXPECT_THAT(paths_of(select(kModel, "a/b", {{}, {"*config.json", "*token*", "chat*"}})),
              ElementsAre("model.safetensors"));
  EXPECT_EQ(select(kModel, "a/b", {{"nothing*"}, {}}).error().code, ErrorCode::NotFound);
  EXPECT_EQ(select(kModel, "a/b", {{}, {"*"}}).error().code, ErrorCode::NotFound);
}

TEST(Select, ExactlyTheQuantization) {
  const auto q4_0 = select(kGgufs, "a/b:q4_0");
  EXPECT_THAT(paths_of(q4_0), ElementsAre("LFM2-1.2B-Q4_0.gguf"));
  EXPECT_EQ(q4_0->gguf, "LFM2-1.2B-Q4_0.gguf");
  EXPECT_THAT(paths_of(select(kGgufs, "a/b:Q4_K")), ElementsAre("LFM2-1.2B-Q4_K.gguf"));
  EXPECT_THAT(paths_of(select(kGgufs, "a/b:Q8_0")), ElementsAre("LFM2-1.2B-Q8_0.gguf"));
  const auto f16 = select(kGgufs, "a/b:F16");
  EXPECT_THAT(paths_of(f16), ElementsAre("LFM2-1.2B-F16-00001-of-00002.gguf",
                                         "LFM2-1.2B-F16-00002-of-00002.gguf"));
  EXPECT_EQ(f16->gguf, "LFM2-1.2B-F16-00001-of-00002.gguf");
  EXPECT_EQ(select(kGgufs, "a/b", {{"*Q4_K_M*.gguf"}, {}})->gguf, "LFM2-1.2B-Q4_K_M.gguf");
  EXPECT_EQ(select(kGgufs, "a/b", {{"*Q4*.gguf"}, {}})->gguf, "");
}

TEST(Select, SaysWhatThereIsWhenTheQuantizationIsNot) {
  const auto missing = select(kGgufs, "a/b:Q5_K_M");
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, ErrorCode::NotFound);
  EXPECT_THAT(missing.error().message, HasSubstr("LFM2-1.2B-Q4_0.gguf"));
  EXPECT_THAT(select(kModel, "a/b:Q4_0").error().message, HasSubstr("no GGUF at all"));
  EXPECT_THAT(select(kGgufs, "a/b").error().message, HasSubstr("a/b:QUANT"));
  EXPECT_THAT(select({"README.md"}, "a/b").error().message, HasSubstr("config.json"));
  EXPECT_THAT(select({"config.json"}, "a/b").error().message, HasSubstr("*.safetensors"));
}

TEST(Select, AmbiguousOrIncompleteGgufs) {
  const auto two = select({"x-350M-Q4_0.gguf", "x-700M-Q4_0.gguf"}, "a/b:Q4_0");
  ASSERT_FALSE(two.has_value());
  EXPECT_EQ(two.error().code, ErrorCode::InvalidArgument);
  EXPECT_EQ(select({"x-350M-Q4_0.gguf", "x-700M-Q4_0.gguf"}, "a/b:Q4_0", {{"*700M*"}, {}})->gguf,
            "x-700M-Q4_0.gguf");
  const auto part =
      select({"x-Q4_0-00001-of-00003.gguf", "x-Q4_0-00003-of-00003.gguf"}, "a/b:Q4_0");
  ASSERT_FALSE(part.has_value());
  EXPECT_THAT(part.error().message, HasSubstr("2 of its 3 shards"));
}

TEST(Select, LimitsTheCount) {
  std::vector<std::string> many;
  for (std::size_t i = 0; i <= kMostChosen; ++i) many.push_back(fmt::format("f{}", i));
  EXPECT_EQ(select(many, "a/b", {{"*"}, {}}).error().code, ErrorCode::TooLarge);
}

}  // namespace
}  // namespace millrace::hub
