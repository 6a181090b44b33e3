// GgufWriter: what is written is what open_gguf() reads, and nothing is seen before it is whole.
#include "checkpoint/gguf_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "checkpoint/ggml_types.h"
#include "checkpoint/gguf.h"
#include "tests/unit/checkpoint/file_maker.h"

namespace millrace {
namespace {

std::vector<std::byte> counted(std::int64_t bytes) {
  std::vector<std::byte> data(static_cast<std::size_t>(bytes));
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = static_cast<std::byte>(i * 7 + 1);
  return data;
}

GgufKeys every_kind() {
  GgufKeys keys;
  keys.put_string("general.architecture", "lfm2");
  keys.put_u32("a.u32", 4000000000u);
  keys.put_i32("a.i32", -5);
  keys.put_f32("a.f32", 1e-5f);
  keys.put_bool("a.bool", true);
  keys.put_strings("a.strings", std::vector<std::string>{"", "Ġthe", "two words"});
  keys.put_i32s("a.i32s", std::vector<std::int32_t>{0, -2, 0});
  return keys;
}

TEST(GgufWriter, IsReadBack) {
  const testing::TempFolder folder;
  const std::string path = folder.path("a.gguf");
  const std::vector<GgufTensorInfo> infos = {{"stack.weight", {3, 5, 64}, DType::Q8_0},
                                             {"vector", {7}, DType::F32},
                                             {"matrix.weight", {2, 9}, DType::BF16},
                                             {"k.weight", {2, 256}, DType::Q6_K}};
  const GgufKeys keys = every_kind();
  auto writer = GgufWriter::create(path, keys, infos);
  ASSERT_TRUE(writer) << writer.error().message;
  for (const GgufTensorInfo& info : infos) {
    const std::vector<std::byte> data = counted(info.bytes());
    // In two pieces.
    ASSERT_TRUE(writer->append(std::span(data).first(data.size() / 2)));
    ASSERT_TRUE(writer->append(std::span(data).subspan(data.size() / 2)));
  }
  EXPECT_FALSE(std::filesystem::exists(path));
  const Status finished = writer->finish();
  ASSERT_TRUE(finished) << finished.error().message;
  EXPECT_EQ(std::filesystem::file_size(path), writer->file_bytes());

  const auto read = open_gguf(path);
  ASSERT_TRUE(read) << read.error().message;
  const GgufMetadata& metadata = read->metadata;
  EXPECT_EQ(metadata.values().size(), 7u);
  EXPECT_EQ(**metadata.string("general.architecture"), "lfm2");
  EXPECT_EQ(**metadata.integer("a.u32"), 4000000000);
  EXPECT_EQ(**metadata.integer("a.i32"), -5);
  EXPECT_EQ(**metadata.number("a.f32"), 1e-5f);
  EXPECT_EQ(**metadata.boolean("a.bool"), true);
  EXPECT_THAT(**metadata.strings("a.strings"), ::testing::ElementsAre("", "Ġthe", "two words"));
  EXPECT_THAT(**metadata.integers("a.i32s"), ::testing::ElementsAre(0, -2, 0));
  ASSERT_EQ(read->checkpoint->tensors().size(), infos.size());
  for (std::size_t i = 0; i < infos.size(); ++i) {
    const NamedTensor& tensor = read->checkpoint->tensors()[i];
    EXPECT_EQ(tensor.name, infos[i].name);
    EXPECT_EQ(tensor.view.shape, infos[i].shape);
    EXPECT_EQ(tensor.view.dtype, infos[i].dtype);
    const std::vector<std::byte> data = counted(infos[i].bytes());
    EXPECT_EQ(std::memcmp(tensor.view.data, data.data(), data.size()), 0) << tensor.name;
  }

  // Another file's values are taken over as they are.
  GgufKeys copied;
  for (const auto& [key, value] : metadata.values()) copied.put(key, value);
  const std::string copy_path = folder.path("b.gguf");
  auto copy = GgufWriter::create(copy_path, copied, {});
  ASSERT_TRUE(copy && copy->finish());
  const auto again = open_gguf(copy_path);
  ASSERT_TRUE(again) << again.error().message;
  for (const auto& [key, value] : metadata.values()) {
    const GgufValue* found = again->metadata.find(key);
    ASSERT_NE(found, nullptr) << key;
    EXPECT_EQ(found->type, value.type) << key;
    EXPECT_EQ(found->element, value.element) << key;
    EXPECT_EQ(found->count, value.count) << key;
    EXPECT_TRUE(std::ranges::equal(found->bytes, value.bytes)) << key;
  }
}

TEST(GgufWriter, LeavesNothingUnfinished) {
  const testing::TempFolder folder;
  const std::string path = folder.write("a.gguf", "what was there");
  {
    auto writer = GgufWriter::create(path, every_kind(), {{"t", {4}, DType::F32}});
    ASSERT_TRUE(writer);
    ASSERT_TRUE(writer->append(counted(8)));
  }
  EXPECT_EQ(testing::read_file(path), "what was there");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

TEST(GgufWriter, RefusesTwoTensorsOfOneName) {
  const testing::TempFolder folder;
  const auto writer = GgufWriter::create(folder.path("a.gguf"), {},
                                         {{"t", {4}, DType::F32}, {"t", {4}, DType::F32}});
  ASSERT_FALSE(writer);
  EXPECT_THAT(writer.error().message, ::testing::HasSubstr("a.gguf: tensor t: found twice"));
  EXPECT_EQ(GgufWriter::create(folder.path("no/such/a.gguf"), {}, {}).error().code,
            ErrorCode::NotFound);
}

TEST(GgmlTypes, HaveTheNumbersOfEveryDtype) {
  for (const DType dtype :
       {DType::F32, DType::F16, DType::BF16, DType::I32, DType::Q8_0, DType::Q4_0, DType::Q4_1,
        DType::Q5_0, DType::Q5_1, DType::Q4_K, DType::Q5_K, DType::Q6_K})
    EXPECT_EQ(ggml_type(ggml_type_id(dtype)).dtype, dtype) << to_string(dtype);
  EXPECT_EQ(ggml_type_id(DType::BF16), 30u);
}

}  // namespace
}  // namespace millrace
