#include "model/config.h"

#include <gtest/gtest.h>

#include "base/json.h"
#include "model/tensor_names.h"
#include "tests/support/golden_data.h"

namespace millrace {
namespace {

using testing::data_path;
using testing::value_or_die;

ModelConfig released(const std::string& name) {
  const std::string path = data_path("configs/" + name + ".json");
  return value_or_die(parse_model_config(value_or_die(read_json_file(path)), path));
}

struct Release {
  const char* name;
  std::int64_t parameters;
  int conv_layers, attention_layers;
  std::int64_t kv_bytes, replay;
};

class ReleasedConfig : public ::testing::TestWithParam<Release> {};

// Exact parameter counts published for the models, and the tables of spec 1.1 and 4.6.
TEST_P(ReleasedConfig, GivesThePublishedParameterCountAndStateSizes) {
  const Release& release = GetParam();
  const ModelConfig config = released(release.name);
  EXPECT_EQ(parameter_count(config), release.parameters);
  EXPECT_EQ(config.count(Mixer::Conv), release.conv_layers);
  EXPECT_EQ(config.count(Mixer::Attention), release.attention_layers);
  const CacheGeometry geometry = config.cache_geometry(DType::BF16, 0);
  EXPECT_EQ(geometry.kv_bytes_per_token(), release.kv_bytes);
  EXPECT_EQ(geometry.replay_tokens(), release.replay);
  EXPECT_EQ(config.head_dim, 64);
}

INSTANTIATE_TEST_SUITE_P(
    All, ReleasedConfig,
    ::testing::Values(Release{"LFM2-350M", 354'483'968, 10, 6, 12288, 20},
                      Release{"LFM2.5-350M", 354'483'968, 10, 6, 12288, 20},
                      Release{"LFM2-700M", 742'489'344, 10, 6, 12288, 20},
                      Release{"LFM2-1.2B", 1'170'340'608, 10, 6, 12288, 20},
                      Release{"LFM2.5-1.2B", 1'170'340'608, 10, 6, 12288, 20},
                      Release{"LFM2-2.6B", 2'569'272'320, 22, 8, 16384, 44},
                      Release{"LFM2.5-2.6B", 2'697'198'592, 22, 8, 16384, 44},
                      Release{"LFM2.5-230M", 229'693'184, 8, 6, 12288, 16},
                      Release{"LFM2-8B-A1B", 8'339'930'560, 18, 6, 12288, 36},
                      Release{"LFM2.5-8B-A1B", 8'467'856'832, 18, 6, 12288, 36},
                      Release{"LFM2-24B-A2B", 23'843'661'440, 30, 10, 20480, 60},
                      // Vision-language files: their text parts.
                      Release{"LFM2-VL-450M", 354'483'968, 10, 6, 12288, 20},
                      Release{"LFM2-VL-1.6B", 1'170'340'608, 10, 6, 12288, 20},
                      Release{"LFM2-VL-3B", 2'569'272'320, 22, 8, 16384, 44},
                      Release{"LFM2.5-VL-450M", 354'483'968, 10, 6, 12288, 20},
                      Release{"LFM2.5-VL-1.6B", 1'170'340'608, 10, 6, 12288, 20},
                      Release{"LFM2.5-VL-3B", 2'697'198'592, 22, 8, 16384, 44}),
    [](const auto& instance) {
      std::string name = instance.param.name;
      for (char& c : name)
        if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
      return name;
    });

Json small() {
  return {{"model_type", "lfm2"},
          {"vocab_size", 100},
          {"hidden_size", 64},
          {"num_hidden_layers", 4},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 2},
          {"intermediate_size", 160},
          {"block_auto_adjust_ff_dim", false},
          {"layer_types", {"conv", "full_attention", "conv", "conv"}}};
}

ModelConfig parsed(const Json& json) {
  return value_or_die(parse_model_config(json, "config.json"));
}

std::string error_of(const Json& json) {
  const Result<ModelConfig> config = parse_model_config(json, "config.json");
  return config ? "no error" : config.error().message;
}

TEST(ModelConfigTest, AdjustsTheFfnAsTransformersDoes) {
  Json json = small();
  json.erase("block_auto_adjust_ff_dim");
  json["block_ff_dim"] = 201;
  json["block_multiple_of"] = 16;
  json["block_ffn_dim_multiplier"] = 1.3;
  EXPECT_EQ(parsed(json).ffn_width, 176);  // 201 -> 134 -> 174 -> 176 (spec 3.1)
  json["block_ff_dim"] = 6656;
  json["block_multiple_of"] = 256;
  json["block_ffn_dim_multiplier"] = nullptr;
  EXPECT_EQ(parsed(json).ffn_width, 4608);
}

TEST(ModelConfigTest, LayerTypesWinOverIndices) {
  Json json = small();
  json["full_attn_idxs"] = {0};
  EXPECT_EQ(parsed(json).layers[0].mixer, Mixer::Conv);
  json["layer_types"] = nullptr;
  EXPECT_EQ(parsed(json).layers[0].mixer, Mixer::Attention);
  EXPECT_EQ(parsed(json).layers[1].mixer, Mixer::Conv);
  json.erase("full_attn_idxs");
  EXPECT_EQ(parsed(json).count(Mixer::Attention), 4);
}

TEST(ModelConfigTest, RopeThetaByPrecedence) {
  Json json = small();
  EXPECT_EQ(parsed(json).rope_theta, 1e6);
  json["theta"] = 2e4;
  EXPECT_EQ(parsed(json).rope_theta, 2e4);
  json["rope_theta"] = 3e4;
  EXPECT_EQ(parsed(json).rope_theta, 3e4);
  json["rope_parameters"] = {{"rope_type", "default"}};
  EXPECT_EQ(parsed(json).rope_theta, 3e4);
  json["rope_parameters"]["rope_theta"] = 5e6;
  EXPECT_EQ(parsed(json).rope_theta, 5e6);
  json["rope_parameters"]["rope_type"] = "yarn";
  EXPECT_EQ(error_of(json),
            "config.json: rope_parameters.rope_type: found 'yarn', expected 'default'");
}

TEST(ModelConfigTest, TiedHeadByPrecedence) {
  Json json = small();
  EXPECT_TRUE(parsed(json).tied_head);
  json["tie_word_embeddings"] = false;
  EXPECT_FALSE(parsed(json).tied_head);
  json["tie_embedding"] = true;
  EXPECT_TRUE(parsed(json).tied_head);
}

TEST(ModelConfigTest, RefusesStrangersByName) {
  for (const char* stranger : {"lfm3", "lfm3_vl", "llama", ""}) {
    Json json = small();
    json["model_type"] = stranger;
    const auto config = parse_model_config(json, "config.json");
    ASSERT_FALSE(config.has_value());
    EXPECT_EQ(config.error().code, ErrorCode::Unsupported);
    EXPECT_NE(config.error().message.find("'" + std::string(stranger) + "'"), std::string::npos);
  }
  Json none = small();
  none.erase("model_type");
  EXPECT_EQ(error_of(none), "config.json: model_type is missing");
}

TEST(ModelConfigTest, NamesTheFieldFoundAndExpected) {
  const auto with = [](const char* key, Json value) {
    Json json = small();
    json[key] = std::move(value);
    return error_of(json);
  };
  EXPECT_EQ(with("hidden_size", "64"),
            "config.json: hidden_size: found string, expected an integer");
  EXPECT_EQ(with("hidden_size", -1),
            "config.json: hidden_size: found -1, expected an integer from 1 to 1048576");
  EXPECT_EQ(with("hidden_size", 1e30),
            "config.json: hidden_size: found number, expected an integer");
  EXPECT_EQ(with("num_hidden_layers", 3),
            "config.json: layer_types: found array of 4 entries, expected a list of 3");
  EXPECT_EQ(
      with("layer_types", Json::array({"conv", "mamba", "conv", "conv"})),
      "config.json: layer_types[1]: found \"mamba\", expected \"conv\" or \"full_attention\"");
  EXPECT_EQ(with("num_key_value_heads", 3),
            "config.json: num_attention_heads is 4, expected a multiple of num_key_value_heads 3");
  EXPECT_EQ(with("head_dim", 15), "config.json: head_dim is 15, expected an even number");
  EXPECT_EQ(with("norm_eps", 0), "config.json: norm_eps is 0, expected a number from 0 to 1");
  EXPECT_EQ(with("eos_token_id", 100),
            "config.json: eos_token_id: found 100, expected a token from 0 to 99");
  EXPECT_EQ(with("conv_L_cache", 0),
            "config.json: conv_L_cache: found 0, expected an integer from 1 to 64");
  EXPECT_EQ(with("rope_scaling", Json::object({{"type", "linear"}})),
            "config.json: rope_scaling is set; no LFM2 model uses it");
  EXPECT_EQ(error_of(Json::array()), "config.json: found array, expected an object");
}

// Every key of a released config replaced by every kind of wrong value: an error or a config, but
// never a crash.
TEST(ModelConfigTest, SurvivesEveryReplacedKey) {
  for (const char* name : {"LFM2-1.2B", "LFM2-8B-A1B", "LFM2-VL-450M"}) {
    const Json original =
        value_or_die(read_json_file(data_path("configs/" + std::string(name) + ".json")));
    for (const auto& [key, value] : original.items()) {
      for (const Json& wrong :
           {Json(), Json(-1), Json(0), Json(1e300), Json("x"), Json(true), Json::array(),
            Json::array({1, 2}), Json::object(), Json(std::uint64_t{1} << 63)}) {
        Json json = original;
        json[key] = wrong;
        const Result<ModelConfig> config = parse_model_config(json, "config.json");
        if (!config) {
          EXPECT_TRUE(config.error().message.starts_with("config.json: "))
              << config.error().message;
        }
      }
    }
  }
}

}  // namespace
}  // namespace millrace
