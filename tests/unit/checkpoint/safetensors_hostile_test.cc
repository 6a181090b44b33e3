#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/safetensors.h"
#include "checkpoint/safetensors_header.h"
#include "tests/unit/checkpoint/file_maker.h"

namespace millrace {
namespace {

using testing::as_bytes;
using ::testing::HasSubstr;
using testing::safetensors;

std::string error_of(const std::string& file) {
  const auto header = parse_safetensors(as_bytes(file), "f");
  return header ? "accepted" : header.error().message;
}

// The message for a header in front of `bytes` bytes of data.
std::string error_of_header(std::string_view header, std::size_t bytes = 0) {
  return error_of(safetensors(header, std::string(bytes, 'x')));
}

std::string tensor(std::string_view dtype, std::string_view shape, std::string_view offsets,
                   std::string_view name = "a") {
  return fmt::format(R"("{}":{{"dtype":"{}","shape":{},"data_offsets":{}}})", name, dtype, shape,
                     offsets);
}
std::string one(std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return "{" + tensor(dtype, shape, offsets) + "}";
}

TEST(HostileSafetensors, HeaderLength) {
  EXPECT_THAT(error_of(""), HasSubstr("f: found 0 bytes, expected a safetensors file"));
  EXPECT_THAT(error_of("\1\0\0"), HasSubstr("f: found 1 bytes"));
  EXPECT_THAT(error_of(std::string(7, '\0')), HasSubstr("found 7 bytes"));
  EXPECT_THAT(error_of(testing::raw(std::uint64_t{100'000'001}) + "{}"),
              HasSubstr("header length: found 100000001, expected at most 100000000"));
  EXPECT_THAT(error_of(testing::raw(~std::uint64_t{0}) + "{}"), HasSubstr("header length"));
  EXPECT_THAT(error_of(testing::raw(std::uint64_t{3}) + "{}"),
              HasSubstr("header length: found 3, the file has 2 bytes after it"));
  EXPECT_THAT(error_of(safetensors("")), HasSubstr("no '{' at its beginning"));
}

TEST(HostileSafetensors, HeaderText) {
  EXPECT_THAT(error_of_header("[]"), HasSubstr("no '{' at its beginning"));
  EXPECT_THAT(error_of_header("{"), HasSubstr("f: not valid JSON"));
  EXPECT_THAT(error_of_header("{} x"), HasSubstr("not valid JSON"));
  EXPECT_THAT(error_of_header("{\"\xff\":1}"), HasSubstr("not valid JSON"));
  EXPECT_THAT(error_of_header(R"({"a":1})"),
              HasSubstr("tensor a: found an integer, expected an object"));
  EXPECT_THAT(error_of_header(R"({"a":null})"), HasSubstr("tensor a: found null"));
  EXPECT_THAT(error_of_header(R"({"a":{}})"), HasSubstr("tensor a: found no dtype"));
  EXPECT_THAT(error_of_header(R"({"a":{"dtype":"F32","shape":[1]}})"),
              HasSubstr("tensor a: found no data_offsets"));
  EXPECT_THAT(error_of_header(R"({"a":{"dtype":1}})"),
              HasSubstr("tensor a: dtype: found an integer, expected a string"));
  EXPECT_THAT(error_of_header(R"({"a":{"shape":{}}})"),
              HasSubstr("shape: found an object, expected an array"));
  EXPECT_THAT(error_of_header(R"({"a":{"dtype":"F32","dtype":"F32"}})"),
              HasSubstr("tensor a: found dtype twice"));
  EXPECT_THAT(error_of_header(R"({"a":{"strides":[1]}})"), HasSubstr("found field strides"));
  EXPECT_THAT(error_of_header(R"({"__metadata__":{"a":1}})"),
              HasSubstr("__metadata__: a: found an integer, expected a string"));
  EXPECT_THAT(error_of_header(R"({"__metadata__":{"a":"1","a":"2"}})"), HasSubstr("found twice"));
  EXPECT_THAT(error_of_header(R"({"__metadata__":{},"__metadata__":{}})"),
              HasSubstr("__metadata__: found twice"));
  // Depth costs nothing and an unfinished string is not quoted at full length.
  EXPECT_THAT(error_of_header(R"({"a":{"shape":)" + std::string(1 << 20, '[')),
              HasSubstr("shape: found an array, expected integers"));
  EXPECT_LT(error_of_header("{\"" + std::string(1 << 20, 'z')).size(), 300u);
  EXPECT_THAT(error_of_header(R"({"a\nb":1})"), HasSubstr(R"(tensor a\x0ab: found)"));
}

TEST(HostileSafetensors, ShapesAndOffsets) {
  EXPECT_THAT(error_of_header(one("F32", "[-1]", "[0,4]"), 4),
              HasSubstr("tensor a: shape: found negative integer, expected integers from 0"));
  EXPECT_THAT(error_of_header(one("F32", "[1.0]", "[0,4]"), 4), HasSubstr("shape: found number"));
  EXPECT_THAT(error_of_header(one("F32", "[1e400]", "[0,4]"), 4), HasSubstr("not valid JSON"));
  EXPECT_THAT(error_of_header(one("F32", "[\"1\"]", "[0,4]"), 4), HasSubstr("found a string"));
  EXPECT_THAT(error_of_header(one("F32", "[18446744073709551615]", "[0,4]"), 4),
              HasSubstr("shape: found 18446744073709551615"));
  EXPECT_THAT(error_of_header(one("F32", "[99999999999999999999]", "[0,4]"), 4),
              HasSubstr("shape: found number"));
  // Products that wrap around to 4 bytes, to 0, or overflow in bits alone.
  EXPECT_THAT(error_of_header(one("F32", "[4294967296,4294967296]", "[0,0]")),
              HasSubstr("expected a whole number of bytes below 2^63"));
  EXPECT_THAT(error_of_header(one("F32", "[4611686018427387905]", "[0,4]"), 4),
              HasSubstr("expected a whole number of bytes"));
  EXPECT_THAT(error_of_header(one("U8", "[0,4294967296,4294967296]", "[0,0]")),
              HasSubstr("expected a whole number of bytes"));
  EXPECT_THAT(error_of_header(one("F4", "[3]", "[0,2]"), 2),
              HasSubstr("expected a whole number of bytes"));
  EXPECT_THAT(error_of_header(one("F32", "[2]", "[0,4]"), 4),
              HasSubstr("data_offsets: found 4 bytes, expected 8 for F32 of shape [2]"));
  EXPECT_THAT(error_of_header(one("F32", "[1]", "[4,0]"), 4),
              HasSubstr("data_offsets: found [4, 0]"));
  EXPECT_THAT(error_of_header(one("F32", "[1]", "[0]"), 4), HasSubstr("data_offsets: found [0]"));
  EXPECT_THAT(error_of_header(one("F32", "[1]", "[0,4,8]"), 4), HasSubstr("more than 2 numbers"));
  EXPECT_THAT(error_of_header(one("F32", "[1]", "[9223372036854775804,9223372036854775808]"), 4),
              HasSubstr("data_offsets: found 9223372036854775808"));
  EXPECT_THAT(error_of_header(one("F32", "[1]", "[9223372036854775803,9223372036854775807]"), 4),
              HasSubstr("found end 9223372036854775807, the file holds 4 bytes"));
  EXPECT_THAT(error_of_header(one("F32", "[2]", "[0,8]"), 4),
              HasSubstr("found end 8, the file holds 4 bytes"));
  std::string ones = "[1";
  for (int i = 0; i < 40; ++i) ones += ",1";
  EXPECT_THAT(error_of_header(one("F32", ones + "]", "[0,4]"), 4),
              HasSubstr("more than 32 dimensions"));
}

TEST(HostileSafetensors, OverlapsAndHoles) {
  const auto two = [](std::string_view first, std::string_view second) {
    return "{" + tensor("F32", "[1]", first, "a") + "," + tensor("F32", "[1]", second, "b") + "}";
  };
  EXPECT_EQ(error_of_header(two("[4,8]", "[0,4]"), 8), "accepted");
  EXPECT_THAT(error_of_header(two("[0,4]", "[2,6]"), 6),
              HasSubstr("tensor b: data_offsets: found begin 2, expected 4: it overlaps"));
  EXPECT_THAT(error_of_header(two("[0,4]", "[0,4]"), 4), HasSubstr("it overlaps"));
  EXPECT_THAT(error_of_header(two("[0,4]", "[8,12]"), 12),
              HasSubstr("tensor b: data_offsets: found begin 8, expected 4: bytes before it"));
  EXPECT_THAT(error_of_header(two("[0,4]", "[4,8]"), 9),
              HasSubstr("found 9 bytes of data, expected 8"));
  EXPECT_THAT(error_of_header("{}", 1), HasSubstr("found 1 bytes of data, expected 0"));
}

TEST(HostileSafetensors, DuplicateNames) {
  const testing::TempFolder folder;
  const auto opened =
      open_safetensors(folder.write("a", safetensors("{" + tensor("F32", "[1]", "[0,4]") + "," +
                                                         tensor("U8", "[4]", "[4,8]") + "}",
                                                     "01234567")));
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, HasSubstr("tensor a: found twice, expected once"));
}

// Quadratic work, or a tree of the header, would show here.
TEST(HostileSafetensors, ManyTensors) {
  std::string header = "{";
  constexpr int kCount = 200'000;
  for (int i = 0; i < kCount; ++i) {
    if (i > 0) header += ',';
    header += tensor("U8", "[1]", fmt::format("[{},{}]", i, i + 1), fmt::format("t{}", i));
  }
  EXPECT_EQ(error_of_header(header + "}", kCount), "accepted");
}

TEST(HostileSafetensors, SurvivesCutsAndFlips) {
  const std::string header = R"({"__metadata__":{"format":"pt"},)" +
                             tensor("F32", "[2,3]", "[0,24]", "model.embed") + "," +
                             tensor("BF16", "[4,1,3]", "[24,48]", "conv") + "," +
                             tensor("I64", "[2]", "[48,64]", "steps") + "}";
  const std::string file = safetensors(header, std::string(64, 'x'));
  const int refused = testing::torture(
      file, header.size() + 8, 4000, "f", [](std::span<const std::byte> bytes) -> Status {
        const auto parsed = parse_safetensors(bytes, "f");
        if (!parsed) return tl::unexpected(parsed.error());
        unsigned sum = 0;
        for (const TensorEntry& entry : parsed->tensors)
          for (const std::byte b : bytes.subspan(entry.offset, entry.bytes))
            sum += std::to_integer<unsigned>(b);
        EXPECT_EQ(sum % 'x', 0u);
        return {};
      });
  EXPECT_GT(refused, static_cast<int>(file.size()) + 1000);
}

}  // namespace
}  // namespace millrace
