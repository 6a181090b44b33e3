#include "checkpoint/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "checkpoint/safetensors_header.h"
#include "tests/unit/checkpoint/file_maker.h"

namespace millrace {
namespace {

using testing::as_bytes;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::raw;
using testing::safetensors;
using testing::TempFolder;

std::string floats(int count) {
  std::string data;
  for (int i = 0; i < count; ++i) data += raw(static_cast<float>(i));
  return data;
}

std::string error_of(const std::string& file) {
  const auto header = parse_safetensors(as_bytes(file), "f");
  return header ? "accepted" : header.error().message;
}

TEST(Safetensors, ReadsShapesTypesAndMetadata) {
  const TempFolder folder;
  const std::string path = folder.write(
      "a.safetensors",
      safetensors(R"({"__metadata__":{"format":"pt"},)"
                  R"("matrix":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
                  R"("scalar":{"shape":[],"data_offsets":[24,28],"dtype":"I32"},)"
                  R"("conv":{"dtype":"BF16","shape":[2,1,3],"data_offsets":[28,40]},)"
                  R"("empty":{"dtype":"F16","shape":[0,7],"data_offsets":[40,40]}}    )",
                  floats(10)));
  const auto opened = open_safetensors(path);
  ASSERT_TRUE(opened) << opened.error().message;
  const Checkpoint& checkpoint = **opened;
  EXPECT_EQ(checkpoint.origin(), path);
  EXPECT_EQ(checkpoint.total_bytes(), 40u);
  ASSERT_EQ(checkpoint.tensors().size(), 4u);
  EXPECT_EQ(checkpoint.tensors()[0].name, "matrix");
  const TensorView* matrix = checkpoint.find("matrix");
  ASSERT_NE(matrix, nullptr);
  EXPECT_EQ(matrix->shape, (Shape{2, 3}));
  EXPECT_EQ(matrix->as<float>()[5], 5.0f);
  EXPECT_EQ(checkpoint.find("scalar")->shape.rank(), 0);
  EXPECT_EQ(checkpoint.find("scalar")->bytes(), 4);
  EXPECT_EQ(checkpoint.find("conv")->shape, (Shape{2, 1, 3}));
  EXPECT_EQ(checkpoint.find("conv")->dtype, DType::BF16);
  EXPECT_EQ(checkpoint.find("empty")->bytes(), 0);
  EXPECT_TRUE(*checkpoint.find("empty"));
  EXPECT_EQ(checkpoint.find("matri"), nullptr);
  EXPECT_EQ(checkpoint.find("matrix2"), nullptr);
  EXPECT_THAT(checkpoint.get("matrix2").error().message, HasSubstr("tensor matrix2 is missing"));
  checkpoint.prefetch(2);
}

TEST(Safetensors, ListsForeignTypesAndRefusesThemByName) {
  const TempFolder folder;
  const std::string path = folder.write(
      "a.safetensors",
      safetensors(R"({"w":{"dtype":"F8_E4M3","shape":[4,2],"data_offsets":[0,8]},)"
                  R"("n":{"dtype":"I64","shape":[1],"data_offsets":[8,16]},)"
                  R"("f4":{"dtype":"F4","shape":[4],"data_offsets":[16,18]},)"
                  R"("new":{"dtype":"F3_X","shape":[16],"data_offsets":[18,24]},)"
                  R"("deep":{"dtype":"F32","shape":[1,1,1,1,1],"data_offsets":[24,28]},)"
                  R"("x":{"dtype":"F32","shape":[1],"data_offsets":[28,32]}})",
                  floats(8)));
  const auto opened = open_safetensors(path);
  ASSERT_TRUE(opened) << opened.error().message;
  const Checkpoint& checkpoint = **opened;
  EXPECT_EQ(checkpoint.tensors().size(), 1u);
  ASSERT_EQ(checkpoint.foreign().size(), 5u);
  EXPECT_EQ(checkpoint.foreign()[0].type, "F8_E4M3");
  EXPECT_EQ(checkpoint.foreign()[0].shape, "[4, 2]");
  EXPECT_EQ(checkpoint.find("w"), nullptr);
  const auto refused = checkpoint.get("w");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::Unsupported);
  EXPECT_EQ(refused.error().message,
            path + ": tensor w: found type F8_E4M3 with shape [4, 2], which Millrace does not run");
  EXPECT_THAT(checkpoint.get("new").error().message, HasSubstr("F3_X"));
  EXPECT_THAT(checkpoint.get("deep").error().message, HasSubstr("[1, 1, 1, 1, 1]"));
}

// A header of odd length leaves every float unaligned; they are copied, one by one.
TEST(Safetensors, CopiesUnalignedTensors) {
  const TempFolder folder;
  for (const std::string pad : {"", " ", "  ", "   "}) {
    const std::string header = R"({"b":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]},)"
                               R"("a":{"dtype":"F32","shape":[3],"data_offsets":[2,14]},)"
                               R"("c":{"dtype":"F32","shape":[0],"data_offsets":[14,14]}})" +
                               pad;
    const auto opened = open_safetensors(
        folder.write("u" + pad + ".safetensors", safetensors(header, "xy" + floats(3))));
    ASSERT_TRUE(opened) << opened.error().message;
    const TensorView* a = (*opened)->find("a");
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a->data) % 4, 0u);
    EXPECT_THAT(std::span(a->as<float>(), 3), ElementsAre(0.0f, 1.0f, 2.0f));
    const TensorView* b = (*opened)->find("b");
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(b->data) % 2, 0u);
    EXPECT_EQ(*b->as<char>(), 'x');
  }
}

TEST(Safetensors, WritesWhatItReads) {
  const TempFolder folder;
  const std::string path = folder.path("out.safetensors");
  const std::int32_t ids[] = {1, -2, 3};
  const float logits[] = {0.5f, -1.5f};
  const std::uint16_t halves[] = {0x3f80, 0x4000, 0x4040};
  const std::vector<NamedTensor> tensors = {{"halves", {halves, DType::BF16, {3}}},
                                            {"ids", {ids, DType::I32, {3, 1}}},
                                            {"logits \"x\" \u00e9", {logits, DType::F32, {1, 2}}},
                                            {"none", {logits, DType::F32, {0, 2}}}};
  const auto written = write_safetensors(path, tensors, {{"model", "a\nb"}, {"k", "v"}});
  ASSERT_TRUE(written) << written.error().message;
  const std::string file = testing::read_file(path);
  const auto header = parse_safetensors(as_bytes(file), path);
  ASSERT_TRUE(header) << header.error().message;
  EXPECT_EQ(header->metadata.at("model"), "a\nb");
  EXPECT_EQ(header->metadata.at("k"), "v");
  for (const TensorEntry& entry : header->tensors) EXPECT_EQ(entry.offset % 2, 0u);
  const auto opened = open_safetensors(path);
  ASSERT_TRUE(opened);
  EXPECT_THAT(std::span((*opened)->find("ids")->as<std::int32_t>(), 3), ElementsAre(1, -2, 3));
  EXPECT_THAT(std::span((*opened)->find("halves")->as<std::uint16_t>(), 3),
              ElementsAre(0x3f80, 0x4000, 0x4040));
  EXPECT_THAT(std::span((*opened)->find("logits \"x\" \u00e9")->as<float>(), 2),
              ElementsAre(0.5f, -1.5f));
  EXPECT_EQ((*opened)->find("none")->shape, (Shape{0, 2}));
  // No temporary file is left.
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(Safetensors, RefusesWhatItCannotWrite) {
  const TempFolder folder;
  const std::string path = folder.path("out.safetensors");
  const float x[32] = {};
  const auto message = [&](std::vector<NamedTensor> tensors, const std::string& at) {
    const auto status = write_safetensors(at, tensors);
    return status ? "written" : status.error().message;
  };
  const TensorView one = {x, DType::F32, {1}};
  EXPECT_THAT(message({{"a", one}, {"a", one}}, path), HasSubstr("tensor a: found twice"));
  EXPECT_THAT(message({{"__metadata__", one}}, path), HasSubstr("reserved"));
  EXPECT_THAT(message({{"q", {x, DType::Q8_0, {32}}}}, path), HasSubstr("type Q8_0"));
  EXPECT_THAT(message({{"\xff\xfe", one}}, path), HasSubstr("not UTF-8"));
  EXPECT_THAT(message({{"a", one}}, folder.path("no/such/folder")), HasSubstr("cannot create"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(Safetensors, NoTensorsIsAFileToo) {
  EXPECT_EQ(error_of(safetensors("{}")), "accepted");
  EXPECT_EQ(error_of(safetensors(R"({"__metadata__":{}})")), "accepted");
}

}  // namespace
}  // namespace millrace
