#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/gguf.h"
#include "checkpoint/gguf_header.h"
#include "tests/unit/checkpoint/file_maker.h"

namespace millrace {
namespace {

using testing::as_bytes;
using testing::GgufMaker;
using ::testing::HasSubstr;
using testing::raw;
using ::testing::StartsWith;

constexpr std::uint64_t kHuge = ~std::uint64_t{0};

std::string error_of(const std::string& file) {
  const auto header = parse_gguf(as_bytes(file), "f");
  return header ? "accepted" : header.error().message;
}

std::string error_of(const GgufMaker& maker, std::size_t data = 0) {
  return error_of(maker.file(std::string(data, 'x')));
}

GgufMaker with_key(std::uint32_t type, std::string_view value) {
  return GgufMaker().key("k", type, value);
}
GgufMaker with_tensor(std::initializer_list<std::uint64_t> dims, std::uint32_t type,
                      std::uint64_t offset) {
  return GgufMaker().tensor("t", dims, type, offset);
}

TEST(HostileGguf, Beginning) {
  EXPECT_THAT(error_of(""), StartsWith("f: found 0 bytes left at byte 0"));
  GgufMaker maker;
  EXPECT_EQ(error_of(maker), "accepted");
  maker.magic = "GGML";
  EXPECT_THAT(error_of(maker), HasSubstr("f: found \"GGML\" at its beginning, expected \"GGUF\""));
  maker.magic = "GGUF";
  maker.version = 1;
  EXPECT_THAT(error_of(maker), HasSubstr("found GGUF version 1, expected 2 or 3"));
  maker.version = 4;
  EXPECT_THAT(error_of(maker), HasSubstr("found GGUF version 4"));
  maker.version = 3u << 24;
  EXPECT_THAT(error_of(maker), HasSubstr("big-endian"));
  maker.version = 0;
  EXPECT_THAT(error_of(maker), HasSubstr("version 0"));
}

TEST(HostileGguf, Counts) {
  const GgufMaker maker;
  EXPECT_THAT(error_of(maker.file("", 32, std::int64_t{1} << 40)),
              HasSubstr("tensor count: found 1099511627776"));
  EXPECT_THAT(error_of(maker.file("", 32, -1, std::int64_t{1} << 40)),
              HasSubstr("key count: found"));
  EXPECT_THAT(error_of(maker.file("", 32, 1000)),
              HasSubstr("f: name of tensor 0: found 0 bytes left"));
  EXPECT_THAT(error_of(maker.file("", 32, -1, 1000)), HasSubstr("f: key 0: found 0 bytes left"));
}

TEST(HostileGguf, Values) {
  EXPECT_THAT(error_of(with_key(13, "12345678")),
              HasSubstr("f: value of k: found value type 13, expected 0 to 12"));
  EXPECT_THAT(error_of(with_key(4, "123")), HasSubstr("value of k: found 3 bytes left"));
  EXPECT_THAT(error_of(with_key(8, raw(kHuge) + "abc")),
              HasSubstr("value of k: found 3 bytes left"));
  EXPECT_THAT(error_of(with_key(7, "\2")), HasSubstr("found 2 for a bool, expected 0 or 1"));
  EXPECT_THAT(error_of(with_key(9, raw(7u) + raw(std::uint64_t{2}) + "\1\3")),
              HasSubstr("found 3 for a bool"));
  EXPECT_THAT(error_of(with_key(9, raw(5u) + raw(kHuge))), HasSubstr("found an array of"));
  EXPECT_THAT(error_of(with_key(9, raw(5u) + raw(kHuge / 4 + 2) + "12345678")),
              HasSubstr("found an array of 4611686018427387905 i32"));
  EXPECT_THAT(error_of(with_key(9, raw(8u) + raw(kHuge))),
              HasSubstr("strings, the file has 0 bytes"));
  EXPECT_THAT(error_of(with_key(9, raw(9u) + raw(kHuge / 8))), HasSubstr("arrays, the file has"));
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += raw(9u) + raw(std::uint64_t{1});
  EXPECT_THAT(error_of(with_key(9, deep)), HasSubstr("nested deeper than 4 levels"));
  EXPECT_THAT(error_of(GgufMaker().key("k", 0, "1").key("k", 0, "1")),
              HasSubstr("f: key k: found twice, expected once"));
  EXPECT_THAT(error_of(GgufMaker().key(std::string(70'000, 'k'), 0, "1")),
              HasSubstr("key 0: found a length of 70000"));
}

TEST(HostileGguf, Tensors) {
  EXPECT_EQ(error_of(with_tensor({8}, 0, 0), 32), "accepted");
  EXPECT_EQ(error_of(with_tensor({0, 5}, 0, 32), 32), "accepted");
  EXPECT_THAT(
      error_of(with_tensor({9}, 0, 0), 32),
      HasSubstr("f: tensor t: found 36 bytes at offset 0, the file holds 32 bytes of data"));
  EXPECT_THAT(error_of(with_tensor({8}, 0, 0), 0), HasSubstr("the file holds 0 bytes of data"));
  EXPECT_THAT(error_of(with_tensor({8}, 0, 32), 32), HasSubstr("found 32 bytes at offset 32"));
  EXPECT_THAT(error_of(with_tensor({8}, 0, 16), 64),
              HasSubstr("offset: found 16, expected a multiple of 32"));
  EXPECT_THAT(error_of(with_tensor({8}, 0, kHuge - 31), 32),
              HasSubstr("at offset 18446744073709551584"));
  EXPECT_THAT(error_of(with_tensor({1, 1, 1, 1, 1}, 0, 0), 32), HasSubstr("found 5 dimensions"));
  EXPECT_THAT(error_of(with_tensor({kHuge}, 0, 0), 32), HasSubstr("dimension 0: found"));
  EXPECT_THAT(error_of(with_tensor({1ull << 32, 1ull << 32}, 0, 0), 32),
              HasSubstr("found shape [4294967296, 4294967296] of F32"));
  EXPECT_THAT(error_of(with_tensor({1ull << 62, 4, 0}, 0, 0), 32), HasSubstr("less than 2^60"));
  EXPECT_THAT(error_of(with_tensor({1ull << 62, 4}, 77, 0), 32), HasSubstr("of ggml type 77"));
  EXPECT_THAT(error_of(with_tensor({48}, 8, 0), 64),
              HasSubstr("tensor t: found shape [48] of Q8_0, expected rows of whole blocks of 32"));
  EXPECT_THAT(error_of(with_tensor({64, 2}, 12, 0), 640), HasSubstr("whole blocks of 256"));
  EXPECT_THAT(error_of(GgufMaker().tensor(std::string(2000, 'n'), {8}, 0, 0), 32),
              HasSubstr("name of tensor 0: found a length of 2000"));
  EXPECT_THAT(error_of(GgufMaker().tensor("a", {16}, 0, 0).tensor("b", {8}, 0, 32), 64),
              HasSubstr("tensor b: found offset 32, inside of tensor a"));
  EXPECT_THAT(error_of(GgufMaker().tensor("a", {8}, 0, 0).tensor("b", {8}, 0, 0), 32),
              HasSubstr("inside of tensor"));
}

TEST(HostileGguf, Alignment) {
  const auto aligned = [](std::uint32_t type, std::string_view value) {
    return error_of(GgufMaker().key("general.alignment", type, value));
  };
  EXPECT_EQ(aligned(4, raw(64u)), "accepted");
  EXPECT_EQ(aligned(4, raw(0u)),
            "f: general.alignment: found 0, expected an integer from 1 to 1048576");
  EXPECT_EQ(aligned(4, raw(24u)), "f: general.alignment: found 24, expected a power of two");
  EXPECT_THAT(aligned(10, raw(kHuge)), HasSubstr("found 18446744073709551615"));
  EXPECT_THAT(aligned(8, GgufMaker::text("32")), HasSubstr("found string, expected an integer"));
}

TEST(HostileGguf, DuplicateNames) {
  const testing::TempFolder folder;
  GgufMaker maker;
  maker.tensor("a", {8}, 0, 0).tensor("a", {8}, 0, 32);
  const auto opened = open_gguf(folder.write("a.gguf", maker.file(std::string(64, 'x'))));
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, HasSubstr("tensor a: found twice, expected once"));
}

// Reads everything that a parsed file offers.
Status read_all(std::span<const std::byte> bytes) {
  const auto parsed = parse_gguf(bytes, "f");
  if (!parsed) return tl::unexpected(parsed.error());
  unsigned sum = 0;
  for (const TensorEntry& entry : parsed->tensors)
    for (const std::byte b : bytes.subspan(entry.offset, entry.bytes))
      sum += std::to_integer<unsigned>(b);
  const GgufMetadata& metadata = parsed->metadata;
  for (const auto& [key, value] : metadata.values()) {
    sum += metadata.integer(key).has_value() + metadata.number(key).has_value() +
           metadata.boolean(key).has_value() + metadata.string(key).has_value() +
           metadata.integers(key).has_value() + metadata.numbers(key).has_value() +
           metadata.strings(key).has_value();
  }
  return sum > 0 ? Status{} : fail(ErrorCode::Corrupt, "f: nothing read");
}

TEST(HostileGguf, SurvivesCutsAndFlips) {
  GgufMaker maker;
  maker.key("general.architecture", 8, GgufMaker::text("lfm2")).key("n", 4, raw(7u));
  maker.key("list", 9, raw(5u) + raw(std::uint64_t{2}) + raw(1) + raw(2));
  maker.key("words", 9,
            raw(8u) + raw(std::uint64_t{2}) + GgufMaker::text("ab") + GgufMaker::text("c"));
  maker.key("eps", 6, raw(1e-5f)).key("flag", 7, "\1");
  maker.tensor("embd", {4, 3}, 0, 0).tensor("q", {32, 2}, 8, 64).tensor("h", {5}, 30, 160);
  const std::string file = maker.file(std::string(170, 'x'));
  const int refused = testing::torture(file, file.size() - 170, 4000, "f", read_all);
  EXPECT_GT(refused, static_cast<int>(file.size()) + 1000);
}

}  // namespace
}  // namespace millrace
