#include "checkpoint/gguf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/ggml_types.h"
#include "checkpoint/gguf_header.h"
#include "tests/unit/checkpoint/file_maker.h"

namespace millrace {
namespace {

using testing::as_bytes;
using ::testing::ElementsAre;
using testing::GgufMaker;
using ::testing::HasSubstr;
using ::testing::Optional;
using testing::raw;

std::string array(std::uint32_t type, std::uint64_t count, std::string_view elements) {
  return raw(type) + raw(count) + std::string(elements);
}

class GgufKeys : public ::testing::Test {
 protected:
  void SetUp() override {
    GgufMaker maker;
    maker.key("u8", 0, raw(std::uint8_t{200})).key("i8", 1, raw(std::int8_t{-5}));
    maker.key("u16", 2, raw(std::uint16_t{60000})).key("i16", 3, raw(std::int16_t{-300}));
    maker.key("u32", 4, raw(std::uint32_t{4000000000})).key("i32", 5, raw(std::int32_t{-70000}));
    maker.key("f32", 6, raw(1.5f)).key("yes", 7, raw(std::uint8_t{1}));
    maker.key("no", 7, raw(std::uint8_t{0})).key("text", 8, GgufMaker::text("h\u00e9llo"));
    maker.key("u64", 10, raw(~std::uint64_t{0})).key("i64", 11, raw(std::int64_t{-1} << 40));
    maker.key("f64", 12, raw(0.1)).key("empty text", 8, GgufMaker::text(""));
    maker.key("ints", 9, array(5, 3, raw(1) + raw(-2) + raw(3)));
    maker.key("bytes", 9, array(0, 2, "\x01\xff"));
    maker.key("floats", 9, array(6, 2, raw(0.5f) + raw(-1.0f)));
    maker.key("bools", 9, array(7, 2, std::string("\1\0", 2)));
    maker.key("words", 9,
              array(8, 3, GgufMaker::text("a") + GgufMaker::text("") + GgufMaker::text("b c")));
    maker.key("none", 9, array(8, 0, ""));
    maker.key("nested", 9, array(9, 2, array(5, 1, raw(7)) + array(9, 1, array(8, 0, ""))));
    file_ = maker.file("");
    auto parsed = parse_gguf(as_bytes(file_), "f");
    ASSERT_TRUE(parsed) << parsed.error().message;
    metadata_ = std::move(parsed->metadata);
  }

  template <typename T>
  static std::string message(const Result<T>& result) {
    return result ? "fine" : result.error().message;
  }

  std::string file_;
  GgufMetadata metadata_;
};

TEST_F(GgufKeys, IntegersOfEveryType) {
  EXPECT_EQ(metadata_.values().size(), 21u);
  EXPECT_THAT(*metadata_.integer("u8"), Optional(200));
  EXPECT_THAT(*metadata_.integer("i8"), Optional(-5));
  EXPECT_THAT(*metadata_.integer("u16"), Optional(60000));
  EXPECT_THAT(*metadata_.integer("i16"), Optional(-300));
  EXPECT_THAT(*metadata_.integer("u32"), Optional(4000000000));
  EXPECT_THAT(*metadata_.integer("i32"), Optional(-70000));
  EXPECT_THAT(*metadata_.integer("i64"), Optional(std::int64_t{-1} << 40));
  EXPECT_EQ(*metadata_.integer("gone"), std::nullopt);
  EXPECT_EQ(message(metadata_.integer("u64")),
            "f: u64: found 18446744073709551615, expected an integer below 2^63");
  EXPECT_EQ(message(metadata_.integer("i8", 0, 9)),
            "f: i8: found -5, expected an integer from 0 to 9");
  EXPECT_EQ(message(metadata_.integer("u8", 0, 9)),
            "f: u8: found 200, expected an integer from 0 to 9");
  EXPECT_EQ(message(metadata_.integer("f32")), "f: f32: found f32, expected an integer");
  EXPECT_EQ(message(metadata_.integer("yes")), "f: yes: found bool, expected an integer");
  EXPECT_EQ(message(metadata_.integer("ints")),
            "f: ints: found an array of 3 i32, expected an integer");
}

TEST_F(GgufKeys, OtherScalars) {
  EXPECT_THAT(*metadata_.number("f32"), Optional(1.5));
  EXPECT_THAT(*metadata_.number("f64"), Optional(0.1));
  EXPECT_THAT(*metadata_.number("i32"), Optional(-70000.0));
  EXPECT_THAT(*metadata_.number("u64"), Optional(18446744073709551616.0));
  EXPECT_EQ(*metadata_.number("gone"), std::nullopt);
  EXPECT_EQ(message(metadata_.number("text")), "f: text: found string, expected a number");
  EXPECT_THAT(*metadata_.boolean("yes"), Optional(true));
  EXPECT_THAT(*metadata_.boolean("no"), Optional(false));
  EXPECT_EQ(message(metadata_.boolean("u8")), "f: u8: found u8, expected a bool");
  EXPECT_THAT(*metadata_.string("text"), Optional(std::string("h\u00e9llo")));
  EXPECT_THAT(*metadata_.string("empty text"), Optional(std::string()));
  EXPECT_EQ(message(metadata_.string("words")),
            "f: words: found an array of 3 string, expected a string");
}

TEST_F(GgufKeys, Arrays) {
  EXPECT_TRUE(metadata_.is_array("ints"));
  EXPECT_FALSE(metadata_.is_array("i32"));
  EXPECT_FALSE(metadata_.is_array("gone"));
  EXPECT_THAT(*metadata_.integers("ints"), Optional(ElementsAre(1, -2, 3)));
  EXPECT_THAT(*metadata_.integers("bytes"), Optional(ElementsAre(1, 255)));
  EXPECT_EQ(message(metadata_.integers("ints", 0, 9)),
            "f: ints[1]: found -2, expected an integer from 0 to 9");
  EXPECT_EQ(message(metadata_.integers("floats")),
            "f: floats: found an array of 2 f32, expected an array of integers");
  EXPECT_EQ(message(metadata_.integers("i32")), "f: i32: found i32, expected an array of integers");
  EXPECT_THAT(*metadata_.numbers("floats"), Optional(ElementsAre(0.5, -1.0)));
  EXPECT_THAT(*metadata_.numbers("ints"), Optional(ElementsAre(1.0, -2.0, 3.0)));
  EXPECT_THAT(*metadata_.strings("words"), Optional(ElementsAre("a", "", "b c")));
  EXPECT_THAT(*metadata_.strings("none"), Optional(ElementsAre()));
  EXPECT_EQ(*metadata_.strings("gone"), std::nullopt);
  EXPECT_EQ(message(metadata_.strings("nested")),
            "f: nested: found an array of 2 array, expected an array of strings");
}

TEST(Gguf, TensorsComeSlowestDimensionFirst) {
  const testing::TempFolder folder;
  GgufMaker maker;
  maker.version = 2;
  maker.key("general.alignment", 4, raw(std::uint32_t{8}));
  maker.tensor("conv", {3, 2}, 0, 0).tensor("q", {64, 2}, 8, 24).tensor("scalar", {}, 26, 160);
  const std::string path =
      folder.write("a.gguf", maker.file(raw(0.0f) + raw(1.0f) + std::string(156, 'x'), 8));
  const auto opened = open_gguf(path);
  ASSERT_TRUE(opened) << opened.error().message;
  const Checkpoint& checkpoint = *opened->checkpoint;
  EXPECT_EQ(checkpoint.find("conv")->shape, (Shape{2, 3}));
  EXPECT_EQ(checkpoint.find("conv")->as<float>()[1], 1.0f);
  EXPECT_EQ(checkpoint.find("q")->shape, (Shape{2, 64}));
  EXPECT_EQ(checkpoint.find("q")->dtype, DType::Q8_0);
  EXPECT_EQ(checkpoint.find("q")->bytes(), 136);
  EXPECT_EQ(checkpoint.find("scalar")->shape.rank(), 0);
  EXPECT_EQ(checkpoint.find("scalar")->dtype, DType::I32);
}

TEST(Gguf, CopiesWhatAnOddAlignmentMisplaces) {
  const testing::TempFolder folder;
  GgufMaker maker;
  maker.key("general.alignment", 4, raw(std::uint32_t{1}));
  maker.tensor("a", {1}, 0, 1).tensor("b", {1}, 24, 0);
  const auto opened = open_gguf(folder.write("a.gguf", maker.file("x" + raw(2.5f), 1)));
  ASSERT_TRUE(opened) << opened.error().message;
  const TensorView* a = opened->checkpoint->find("a");
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a->data) % 4, 0u);
  EXPECT_EQ(*a->as<float>(), 2.5f);
}

TEST(Gguf, NamesTheTypesItDoesNotRun) {
  const testing::TempFolder folder;
  GgufMaker maker;
  maker.tensor("x", {256}, 17, 0).tensor("y", {4}, 99, 96).tensor("z", {32}, 4, 96);
  const auto opened = open_gguf(folder.write("a.gguf", maker.file(std::string(96, 'x'))));
  ASSERT_TRUE(opened) << opened.error().message;
  EXPECT_EQ(opened->checkpoint->find("x"), nullptr);
  EXPECT_THAT(opened->checkpoint->get("x").error().message,
              HasSubstr("tensor x: found type IQ2_XS with shape [256]"));
  EXPECT_THAT(opened->checkpoint->get("y").error().message, HasSubstr("type ggml type 99"));
  EXPECT_THAT(opened->checkpoint->get("z").error().message, HasSubstr("type Q4_2"));
  EXPECT_EQ(opened->checkpoint->foreign()[0].bytes, 74u);
}

TEST(Gguf, KnowsGgmlsNumbers) {
  EXPECT_EQ(ggml_type(0).dtype, DType::F32);
  EXPECT_EQ(ggml_type(1).dtype, DType::F16);
  EXPECT_EQ(ggml_type(2).dtype, DType::Q4_0);
  EXPECT_EQ(ggml_type(3).dtype, DType::Q4_1);
  EXPECT_EQ(ggml_type(6).dtype, DType::Q5_0);
  EXPECT_EQ(ggml_type(7).dtype, DType::Q5_1);
  EXPECT_EQ(ggml_type(8).dtype, DType::Q8_0);
  EXPECT_EQ(ggml_type(12).dtype, DType::Q4_K);
  EXPECT_EQ(ggml_type(13).dtype, DType::Q5_K);
  EXPECT_EQ(ggml_type(14).dtype, DType::Q6_K);
  EXPECT_EQ(ggml_type(26).dtype, DType::I32);
  EXPECT_EQ(ggml_type(30).dtype, DType::BF16);
  EXPECT_EQ(ggml_type(14).block_bytes, 210);
  EXPECT_EQ(ggml_type(20).name, "IQ4_NL");
  EXPECT_EQ(ggml_type(39).name, "MXFP4");
}

}  // namespace
}  // namespace millrace
