// Whole files: against those that the `gguf` package wrote of the same checkpoints, and against
// each other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/json.h"
#include "checkpoint/gguf.h"
#include "checkpoint/quantise.h"
#include "checkpoint/safetensors.h"
#include "convert/gguf_write.h"
#include "engine/load.h"
#include "tests/support/golden_data.h"

namespace millrace {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class GgufFile : public ::testing::Test {
 protected:
  GgufFile() {
    std::string pattern = (fs::temp_directory_path() / "millrace-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = pattern;
  }
  ~GgufFile() override {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  Status make(const std::string& source, std::string_view type, const std::string& out,
              GgufPlanOptions options = {}) {
    options.type = find_file_type(type);
    const GgufPlan plan = MILLRACE_TRY(plan_gguf(source, options));
    const auto bytes = MILLRACE_TRY(write_gguf(plan, path(out), {.threads = 2}));
    EXPECT_EQ(bytes, fs::file_size(path(out)));
    return {};
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  fs::path folder_;
};

void expect_same_tensors(const Checkpoint& found, const Checkpoint& expected) {
  EXPECT_EQ(found.tensors().size(), expected.tensors().size());
  for (const NamedTensor& tensor : expected.tensors()) {
    const TensorView* view = found.find(tensor.name);
    ASSERT_NE(view, nullptr) << tensor.name;
    EXPECT_EQ(view->shape, tensor.view.shape) << tensor.name;
    ASSERT_EQ(view->dtype, tensor.view.dtype) << tensor.name;
    EXPECT_EQ(
        std::memcmp(view->data, tensor.view.data, static_cast<std::size_t>(tensor.view.bytes())), 0)
        << tensor.name;
  }
}

void expect_same_keys(const GgufMetadata& found, const GgufMetadata& expected) {
  for (const auto& [key, value] : expected.values()) {
    const GgufValue* other = found.find(key);
    ASSERT_NE(other, nullptr) << key;
    EXPECT_EQ(other->type, value.type) << key;
    EXPECT_EQ(other->element, value.element) << key;
    EXPECT_EQ(other->count, value.count) << key;
    EXPECT_TRUE(std::ranges::equal(other->bytes, value.bytes)) << key;
  }
}

// Metadata and tensors byte by byte, from single tensors of experts.
TEST_F(GgufFile, EqualsTheGgufPackages) {
  for (const std::string variant : {"dense_f32", "moe_f32"})
    for (const std::string type : {"F32", "F16", "BF16", "Q8_0"}) {
      SCOPED_TRACE(variant + " " + type);
      const Status made = make(testing::data_path("golden/" + variant), type, "a.gguf",
                               {.type = nullptr, .name = "golden " + variant});
      ASSERT_TRUE(made) << made.error().message;
      const GgufModel found = testing::value_or_die(open_gguf(path("a.gguf")));
      const GgufModel expected = testing::value_or_die(open_gguf(
          testing::data_path(fmt::format("golden/{0}/gguf/{0}-{1}.gguf", variant, type))));
      expect_same_tensors(*found.checkpoint, *expected.checkpoint);
      expect_same_keys(found.metadata, expected.metadata);
      fs::remove(path("a.gguf"));
    }
}

// A detour over another GGUF file changes nothing: what it holds is what the folder holds.
TEST_F(GgufFile, MayComeFromGguf) {
  const std::string source = testing::repository_path("models/nano");
  for (const std::string between : {"bf16", "f32"}) {
    ASSERT_TRUE(make(source, between, "between.gguf"));
    ASSERT_TRUE(make(source, "q4_k_m", "direct.gguf"));
    const Status made = make(path("between.gguf"), "q4_k_m", "detour.gguf");
    ASSERT_TRUE(made) << made.error().message;
    const GgufModel direct = testing::value_or_die(open_gguf(path("direct.gguf")));
    const GgufModel detour = testing::value_or_die(open_gguf(path("detour.gguf")));
    expect_same_tensors(*detour.checkpoint, *direct.checkpoint);
    expect_same_keys(detour.metadata, direct.metadata);
    expect_same_keys(direct.metadata, detour.metadata);
  }
  // What is quantised stays so, or is taken apart only when asked.
  const Status refused = make(path("direct.gguf"), "q8_0", "again.gguf");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::InvalidArgument);
  EXPECT_THAT(refused.error().message, HasSubstr("--allow-requantize"));
  EXPECT_FALSE(fs::exists(path("again.gguf")));
  EXPECT_TRUE(make(path("direct.gguf"), "q8_0", "again.gguf",
                   {.type = nullptr, .name = "", .allow_requantize = true}));
  EXPECT_TRUE(make(path("direct.gguf"), "q4_k_m", "same.gguf"));
  expect_same_tensors(*testing::value_or_die(open_gguf(path("same.gguf"))).checkpoint,
                      *testing::value_or_die(open_gguf(path("direct.gguf"))).checkpoint);
}

// No key of the format tells of biases; the tensors do.
TEST_F(GgufFile, KeepsBiasesOfConvolutions) {
  ASSERT_TRUE(make(testing::data_path("golden/dense_adjust"), "f32", "a.gguf"));
  const GgufModel model = testing::value_or_die(open_gguf(path("a.gguf")));
  ASSERT_NE(model.checkpoint->find("blk.0.shortconv.conv.bias"), nullptr);
  EXPECT_TRUE(testing::value_or_die(load_model(path("a.gguf"), {})).config.conv_bias);
  ASSERT_TRUE(make(path("a.gguf"), "f32", "b.gguf"));
  expect_same_tensors(*testing::value_or_die(open_gguf(path("b.gguf"))).checkpoint,
                      *model.checkpoint);
}

// Fused experts (gate and up in one tensor) give the same file as single ones.
TEST_F(GgufFile, StacksFusedExperts) {
  const std::string source = testing::data_path("golden/moe_f32");
  const auto single = testing::value_or_die(open_safetensors_folder(source));
  std::vector<NamedTensor> tensors;
  std::vector<std::vector<float>> memory;
  std::map<std::string, std::map<int, const NamedTensor*>> stacks;  // "…experts.|w1" by expert
  for (const NamedTensor& tensor : single->tensors()) {
    const std::size_t at = tensor.name.find("experts.");
    if (at == std::string::npos) {
      tensors.push_back(tensor);
      continue;
    }
    const std::string rest = tensor.name.substr(at + 8);
    const std::size_t dot = rest.find('.');
    stacks[tensor.name.substr(0, at + 8) + rest.substr(dot + 1, 2)]
          [std::stoi(rest.substr(0, dot))] = &tensor;
  }
  const auto append = [&](const NamedTensor* part, std::vector<float>& to) {
    const auto* values = part->view.as<float>();
    to.insert(to.end(), values, values + part->view.shape.elements());
  };
  for (const auto& [key, experts] : stacks) {
    const std::string stem = key.substr(0, key.size() - 2);
    const Shape shape = experts.at(0)->view.shape;
    const auto count = static_cast<std::int64_t>(experts.size());
    if (key.ends_with("w3")) continue;
    std::vector<float>& values = memory.emplace_back();
    for (const auto& [e, part] : experts) {
      append(part, values);
      if (key.ends_with("w1")) append(stacks.at(stem + "w3").at(e), values);
    }
    const bool fused = key.ends_with("w1");
    tensors.push_back({stem + (fused ? "gate_up_proj" : "down_proj"),
                       {nullptr, DType::F32, {count, shape[0] * (fused ? 2 : 1), shape[1]}}});
  }
  std::size_t next = 0;
  for (NamedTensor& tensor : tensors)
    if (tensor.view.data == nullptr) tensor.view.data = memory[next++].data();
  fs::create_directory(path("fused"));
  for (const char* file : {"config.json", "tokenizer.json", "tokenizer_config.json",
                           "generation_config.json", "chat_template.jinja"})
    fs::copy_file(fs::path(source) / file, folder_ / "fused" / file);
  ASSERT_TRUE(write_safetensors(path("fused/model.safetensors"), tensors));
  for (const std::string type : {"q8_0", "q4_k_m"}) {
    const Status made = make(path("fused"), type, "fused.gguf");
    ASSERT_TRUE(made) << made.error().message;
    ASSERT_TRUE(make(source, type, "single.gguf"));
    expect_same_tensors(*testing::value_or_die(open_gguf(path("fused.gguf"))).checkpoint,
                        *testing::value_or_die(open_gguf(path("single.gguf"))).checkpoint);
  }
}

// Text and recommendations are those of the folder.
TEST_F(GgufFile, KeepsTextAndSampling) {
  const std::string source = testing::repository_path("models/nano");
  ASSERT_TRUE(make(source, "q4_0", "nano.gguf"));
  const LoadedModel before = testing::value_or_die(load_model(source, {}));
  const LoadedModel after = testing::value_or_die(load_model(path("nano.gguf"), {}));
  EXPECT_EQ(after.chat_template->source(), before.chat_template->source());
  EXPECT_EQ(after.tokenizer->bos(), before.tokenizer->bos());
  EXPECT_EQ(after.tokenizer->eos(), before.tokenizer->eos());
  EXPECT_EQ(after.tokenizer->pad(), before.tokenizer->pad());
  EXPECT_EQ(after.tokenizer->adds_bos(), before.tokenizer->adds_bos());
  EXPECT_EQ(after.config.layers.size(), before.config.layers.size());
  EXPECT_EQ(after.config.max_position, before.config.max_position);
  EXPECT_EQ(turn_ends(after), turn_ends(before));
  EXPECT_EQ(after.generation.top_k, before.generation.top_k);
  EXPECT_NEAR(*after.generation.temperature, *before.generation.temperature, 1e-6);
  EXPECT_NEAR(*after.generation.top_p, *before.generation.top_p, 1e-6);
  for (TokenId id = 0; id < before.config.vocab; ++id) {
    EXPECT_EQ(after.tokenizer->token_text(id), before.tokenizer->token_text(id)) << id;
    EXPECT_EQ(after.tokenizer->is_special(id), before.tokenizer->is_special(id)) << id;
    EXPECT_EQ(after.tokenizer->is_added(id), before.tokenizer->is_added(id)) << id;
  }
  for (const char* text :
       {"Hello, world! 12345", "<think>hm</think> \n\n  ok<|im_end|>", "ÄÖ 你好"})
    EXPECT_EQ(*after.tokenizer->encode(text), *before.tokenizer->encode(text)) << text;
  const GgufModel file = testing::value_or_die(open_gguf(path("nano.gguf")));
  EXPECT_EQ(**file.metadata.string("general.name"), "nano");
  EXPECT_EQ(**file.metadata.integer("general.file_type"), 2);
}

TEST_F(GgufFile, RefusesWhatItCannotSay) {
  const std::string source = testing::data_path("golden/dense_f32");
  for (const auto& entry : fs::directory_iterator(source))
    if (entry.is_regular_file()) fs::copy_file(entry, folder_ / entry.path().filename());
  // A weight that is not finite is found wherever it stands.
  {
    std::fstream file(path("model.safetensors"), std::ios::in | std::ios::out | std::ios::binary);
    const float nan = std::nanf("");
    file.seekp(-4, std::ios::end);
    file.write(reinterpret_cast<const char*>(&nan), sizeof(nan));
  }
  const Status damaged = make(folder_.string(), "f16", "a.gguf");
  ASSERT_FALSE(damaged);
  EXPECT_EQ(damaged.error().code, ErrorCode::Corrupt);
  EXPECT_THAT(damaged.error().message, HasSubstr("found nan, expected finite weights"));
  // Nothing is left of it.
  for (const auto& entry : fs::directory_iterator(folder_))
    EXPECT_THAT(entry.path().filename().string(), ::testing::Not(HasSubstr("gguf")));
  // A split that GGUF has no name for.
  Json tokenizer = testing::value_or_die(read_json_file(path("tokenizer.json")));
  tokenizer["model"]["ignore_merges"] = false;
  std::ofstream(path("tokenizer.json")) << tokenizer.dump();
  const Status split = make(folder_.string(), "f16", "a.gguf");
  ASSERT_FALSE(split);
  EXPECT_EQ(split.error().code, ErrorCode::Unsupported);
  EXPECT_THAT(split.error().message, HasSubstr("tokenizer.json: pre_tokenizer"));
  EXPECT_EQ(make(path("none"), "f16", "a.gguf").error().code, ErrorCode::NotFound);
}

TEST_F(GgufFile, StopsWhenCancelled) {
  const std::atomic<bool> cancelled = true;
  const GgufPlan plan = testing::value_or_die(
      plan_gguf(testing::repository_path("models/nano"), {.type = find_file_type("q8_0")}));
  const auto written = write_gguf(plan, path("a.gguf"), {.cancelled = &cancelled});
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::Cancelled);
  EXPECT_TRUE(fs::is_empty(folder_));
}

}  // namespace
}  // namespace millrace
