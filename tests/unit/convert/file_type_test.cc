// The types that llama.cpp's mixtures give to tensors.
#include "convert/file_type.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/json.h"
#include "tests/support/golden_data.h"

namespace millrace {
namespace {

using ::testing::ElementsAre;

struct Chosen {
  std::vector<GgufTensor> tensors;
  std::vector<DType> types;

  DType of(const std::string& name) const {
    for (std::size_t i = 0; i < tensors.size(); ++i)
      if (tensors[i].name == name) return types[i];
    ADD_FAILURE() << "no tensor " << name;
    return DType::I32;
  }
  // Layers whose tensor of this name is of this type.
  std::vector<int> layers(const std::string& name, DType type) const {
    std::vector<int> found;
    for (std::size_t i = 0; i < tensors.size(); ++i)
      if (tensors[i].layer >= 0 && types[i] == type &&
          tensors[i].name == fmt::format("blk.{}.{}", tensors[i].layer, name))
        found.push_back(tensors[i].layer);
    return found;
  }
  std::int64_t bytes() const {
    std::int64_t sum = 0;
    for (std::size_t i = 0; i < tensors.size(); ++i)
      sum += bytes_of(types[i], tensors[i].shape.elements());
    return sum;
  }
};

ModelConfig known(const std::string& name) {
  const std::string path = testing::data_path("configs/" + name + ".json");
  return testing::value_or_die(
      parse_model_config(testing::value_or_die(read_json_file(path)), path));
}

Chosen choose(const ModelConfig& config, std::string_view type) {
  Chosen chosen = {gguf_tensors(config), {}};
  chosen.types = choose_types(*find_file_type(type), config, chosen.tensors);
  return chosen;
}

TEST(FileType, IsFoundByName) {
  EXPECT_EQ(find_file_type("Q4_K_M")->number, 15u);
  EXPECT_EQ(find_file_type("bf16")->number, 32u);
  EXPECT_EQ(find_file_type("q4_k"), nullptr);
  EXPECT_EQ(find_file_type(""), nullptr);
}

TEST(FileType, MixesTypes) {
  const Chosen chosen = choose(known("LFM2-1.2B"), "q4_k_m");
  EXPECT_EQ(chosen.of("token_embd.weight"), DType::Q6_K);  // the head, too
  EXPECT_EQ(chosen.of("token_embd_norm.weight"), DType::F32);
  EXPECT_EQ(chosen.of("blk.0.shortconv.conv.weight"), DType::F32);
  EXPECT_EQ(chosen.of("blk.0.shortconv.in_proj.weight"), DType::Q4_K);
  EXPECT_EQ(chosen.of("blk.2.attn_q_norm.weight"), DType::F32);
  EXPECT_EQ(chosen.of("blk.2.attn_output.weight"), DType::Q4_K);
  // Attention layers are counted by themselves: the third and the last of six.
  EXPECT_THAT(chosen.layers("attn_v.weight", DType::Q6_K), ElementsAre(8, 14));
  EXPECT_THAT(chosen.layers("attn_v.weight", DType::Q4_K), ElementsAre(2, 5, 10, 12));
  EXPECT_THAT(chosen.layers("ffn_down.weight", DType::Q6_K),
              ElementsAre(0, 1, 4, 7, 10, 13, 14, 15));
  EXPECT_EQ(choose(known("LFM2-1.2B"), "q5_k_m").of("blk.0.ffn_up.weight"), DType::Q5_K);
}

TEST(FileType, PlainOnesAreOneTypeButTheHead) {
  const ModelConfig config = known("LFM2-350M");
  for (const std::string_view name : {"q4_0", "q4_1", "q5_0", "q5_1"}) {
    const Chosen chosen = choose(config, name);
    EXPECT_EQ(chosen.of("token_embd.weight"), DType::Q6_K);
    std::set<DType> types(chosen.types.begin(), chosen.types.end());
    EXPECT_EQ(types, (std::set<DType>{DType::F32, DType::Q6_K, find_file_type(name)->bulk}));
  }
  EXPECT_EQ(choose(config, "q8_0").of("token_embd.weight"), DType::Q8_0);
  EXPECT_EQ(choose(config, "f16").of("token_embd.weight"), DType::F16);
}

TEST(FileType, KnowsExperts) {
  const ModelConfig config = known("LFM2-8B-A1B");
  const Chosen chosen = choose(config, "q4_k_m");
  EXPECT_EQ(chosen.of("blk.2.ffn_gate_inp.weight"), DType::F32);
  EXPECT_EQ(chosen.of("blk.2.exp_probs_b.bias"), DType::F32);
  EXPECT_EQ(chosen.of("blk.2.ffn_gate_exps.weight"), DType::Q4_K);
  EXPECT_THAT(chosen.layers("ffn_down.weight", DType::Q6_K), ElementsAre(0, 1));
  EXPECT_THAT(chosen.layers("ffn_down_exps.weight", DType::Q6_K),
              ElementsAre(2, 5, 8, 11, 14, 17, 20, 21, 22, 23));
  for (const GgufTensor& tensor : chosen.tensors) {
    if (tensor.name != "blk.2.ffn_down_exps.weight") continue;
    EXPECT_EQ(tensor.shape, (Shape{32, config.hidden, config.moe->width}));
    ASSERT_EQ(tensor.parts.size(), 32u);
    EXPECT_EQ(tensor.parts[31].name, "layers.2.feed_forward.experts.31.w2.weight");
  }
}

TEST(FileType, TakesSmallerBlocksWhereRowsAreOdd) {
  ModelConfig config = known("LFM2-350M");
  config.ffn_width = 4640;  // whole blocks of 32, not of 256
  EXPECT_EQ(choose(config, "q4_k_m").of("blk.3.ffn_down.weight"), DType::Q5_0);
  EXPECT_EQ(choose(config, "q4_k_m").of("blk.0.ffn_down.weight"), DType::Q8_0);
  EXPECT_EQ(choose(config, "q5_k_m").of("blk.3.ffn_down.weight"), DType::Q5_1);
  EXPECT_EQ(choose(config, "q4_0").of("blk.3.ffn_down.weight"), DType::Q4_0);
  config.ffn_width = 4650;
  EXPECT_EQ(choose(config, "q4_k_m").of("blk.3.ffn_down.weight"), DType::F16);
  EXPECT_EQ(choose(config, "q4_0").of("blk.3.ffn_down.weight"), DType::F16);
}

// Every tensor of the config once, whatever the model.
TEST(GgufTensors, HoldEveryWeight) {
  for (const char* name : {"LFM2-1.2B", "LFM2-2.6B", "LFM2-8B-A1B", "LFM2-24B-A2B", "LFM2-VL-3B"}) {
    const ModelConfig config = known(name);
    std::int64_t weights = 0;
    std::set<std::string> names;
    for (const GgufTensor& tensor : gguf_tensors(config)) {
      EXPECT_TRUE(names.insert(tensor.name).second) << tensor.name;
      std::int64_t of_parts = 0;
      for (const TensorSpec& part : tensor.parts) of_parts += part.shape.elements();
      EXPECT_EQ(tensor.shape.elements(), of_parts) << tensor.name;
      weights += of_parts;
    }
    EXPECT_EQ(weights, parameter_count(config)) << name;
  }
}

}  // namespace
}  // namespace millrace
