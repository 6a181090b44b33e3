// Checkpoints of several files: safetensors with an index, split GGUF.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/gguf.h"
#include "checkpoint/safetensors.h"
#include "tests/unit/checkpoint/file_maker.h"

namespace millrace {
namespace {

using testing::GgufMaker;
using ::testing::HasSubstr;
using testing::raw;
using testing::safetensors;
using testing::TempFolder;

constexpr const char* kIndex = "model.safetensors.index.json";
constexpr const char* kFirst = "model-00001-of-00002.safetensors";
constexpr const char* kSecond = "model-00002-of-00002.safetensors";

std::string shard(std::string_view name, float value) {
  return safetensors(
      fmt::format(R"({{"{}":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}})", name),
      raw(value));
}

std::string message(const Result<std::unique_ptr<Checkpoint>>& opened) {
  return opened ? "opened" : opened.error().message;
}

TEST(Shards, AreOneCheckpoint) {
  const TempFolder folder;
  folder.write(kFirst, shard("a", 1.0f));
  folder.write(kSecond, shard("b", 2.0f));
  folder.write(kIndex, fmt::format(R"({{"metadata":{{"total_size":8,"x":[{{}}]}},)"
                                   R"("weight_map":{{"a":"{}","b":"{}"}},"more":[1,{{"b":2}}]}})",
                                   kFirst, kSecond));
  const auto opened = open_safetensors_folder(folder.path());
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ((*opened)->origin(), folder.path());
  EXPECT_EQ((*opened)->tensors().size(), 2u);
  EXPECT_EQ(*(*opened)->find("a")->as<float>(), 1.0f);
  EXPECT_EQ(*(*opened)->find("b")->as<float>(), 2.0f);
  // The single file wins when both are there.
  folder.write("model.safetensors", shard("c", 3.0f));
  const auto single = open_safetensors_folder(folder.path());
  ASSERT_TRUE(single);
  EXPECT_EQ((*single)->find("a"), nullptr);
  EXPECT_EQ(*(*single)->find("c")->as<float>(), 3.0f);
}

TEST(Shards, WrongIndexes) {
  const TempFolder folder;
  const auto with_index = [&](std::string_view index) {
    folder.write(kIndex, index);
    return message(open_safetensors_folder(folder.path()));
  };
  EXPECT_THAT(message(open_safetensors_folder(folder.path())),
              HasSubstr("found neither model.safetensors nor"));
  folder.write(kFirst, shard("a", 1.0f));
  EXPECT_THAT(with_index("{"), HasSubstr("index.json: not valid JSON"));
  EXPECT_THAT(with_index("[]"), HasSubstr("found an array, expected an object"));
  EXPECT_THAT(with_index("{}"), HasSubstr("weight_map: found no tensors"));
  EXPECT_THAT(with_index(R"({"weight_map":[]})"),
              HasSubstr("weight_map: found an array, expected an object"));
  EXPECT_THAT(with_index(R"({"weight_map":3})"), HasSubstr("weight_map: found an integer"));
  EXPECT_THAT(with_index(R"({"weight_map":{"a":1}})"),
              HasSubstr("weight_map: a: found an integer, expected a file name"));
  EXPECT_THAT(with_index(R"({"weight_map":{"a":{}}})"), HasSubstr("a: found an object"));
  EXPECT_THAT(with_index(R"({"weight_map":{"a":"x","a":"x"}})"),
              HasSubstr("weight_map: a: found twice"));
  EXPECT_THAT(with_index(R"({"weight_map":{"a":"gone.safetensors"}})"),
              HasSubstr("gone.safetensors: cannot open"));
  EXPECT_THAT(with_index(fmt::format(R"({{"weight_map":{{"a":"{}","b":"{}"}}}})", kFirst, kFirst)),
              HasSubstr("tensor b is not in model-00001-of-00002.safetensors"));
  folder.write(kSecond, shard("a", 2.0f));
  folder.write("third.safetensors", shard("b", 2.0f));
  // In two files, though the index names one: no choice would be right.
  folder.write(kSecond, safetensors(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
                                    R"("b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                                    "01234567"));
  EXPECT_THAT(with_index(fmt::format(R"({{"weight_map":{{"a":"{}","b":"{}"}}}})", kFirst, kSecond)),
              HasSubstr("tensor a: found twice, expected once"));
  folder.write(kFirst, "garbage");
  EXPECT_THAT(with_index(fmt::format(R"({{"weight_map":{{"a":"{}"}}}})", kFirst)),
              HasSubstr("model-00001-of-00002.safetensors: found 7 bytes"));
}

TEST(Shards, NamesStayInTheFolder) {
  const TempFolder outer;
  outer.write("secret.safetensors", shard("a", 1.0f));
  std::filesystem::create_directory(outer.path("inner"));
  for (const std::string name : {"../secret.safetensors", "/etc/passwd", "..", ".", "",
                                 "sub/x.safetensors", "a\\\\b.safetensors", "x\\u0000y"}) {
    outer.write(std::string("inner/") + kIndex,
                fmt::format(R"({{"weight_map":{{"a":"{}"}}}})", name));
    EXPECT_THAT(message(open_safetensors_folder(outer.path("inner"))),
                HasSubstr("expected the name of a file in the folder"))
        << name;
  }
}

// Part `number` (from 0) of `count`, with one tensor.
std::string part(int number, int count, std::string_view tensor, int total = -1) {
  GgufMaker maker;
  maker.key("split.no", 2, raw(static_cast<std::uint16_t>(number)));
  maker.key("split.count", 2, raw(static_cast<std::uint16_t>(count)));
  if (total >= 0) maker.key("split.tensors.count", 5, raw(total));
  if (number == 0) maker.key("general.name", 8, GgufMaker::text("split one"));
  maker.tensor(tensor, {1}, 0, 0);
  return maker.file(raw(static_cast<float>(number)));
}

std::string message(const Result<GgufModel>& opened) {
  return opened ? "opened" : opened.error().message;
}

TEST(SplitGguf, IsOneCheckpoint) {
  const TempFolder folder;
  folder.write("m-00001-of-00003.gguf", part(0, 3, "a", 3));
  folder.write("m-00002-of-00003.gguf", part(1, 3, "b"));
  folder.write("m-00003-of-00003.gguf", part(2, 3, "c"));
  for (const char* named : {"m-00001-of-00003.gguf", "m-00003-of-00003.gguf"}) {
    const auto opened = open_gguf(folder.path(named));
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_EQ(opened->checkpoint->tensors().size(), 3u);
    EXPECT_EQ(*opened->checkpoint->find("c")->as<float>(), 2.0f);
    EXPECT_EQ(**opened->metadata.string("general.name"), "split one");
  }
}

TEST(SplitGguf, WrongParts) {
  const TempFolder folder;
  const std::string first = folder.write("m-00001-of-00002.gguf", part(0, 2, "a"));
  EXPECT_THAT(message(open_gguf(first)), HasSubstr("m-00002-of-00002.gguf: cannot open"));
  folder.write("m-00002-of-00002.gguf", part(1, 2, "a"));
  EXPECT_THAT(message(open_gguf(first)), HasSubstr("tensor a: found twice"));
  folder.write("m-00002-of-00002.gguf", part(0, 2, "b"));
  EXPECT_THAT(message(open_gguf(first)),
              HasSubstr("found split.no 0 of split.count 2, expected 1 of 2"));
  folder.write("m-00002-of-00002.gguf", part(1, 2, "b"));
  EXPECT_EQ(message(open_gguf(first)), "opened");
  folder.write("m-00001-of-00002.gguf", part(0, 2, "a", 7));
  EXPECT_THAT(message(open_gguf(first)),
              HasSubstr("split.tensors.count: found 7, the parts hold 2 tensors"));
  EXPECT_THAT(message(open_gguf(folder.write("renamed.gguf", part(0, 2, "a")))),
              HasSubstr("expected a file name that ends in -00001-of-00002.gguf"));
  EXPECT_THAT(message(open_gguf(folder.write("m-00001-of-00005.gguf", part(0, 2, "a")))),
              HasSubstr("split.count: found 2"));
  EXPECT_THAT(message(open_gguf(folder.write("m-0000x-of-00002.gguf", part(0, 2, "a")))),
              HasSubstr("expected a file name"));
}

}  // namespace
}  // namespace millrace
