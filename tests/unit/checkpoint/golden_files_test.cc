// Every small checkpoint of tests/data/golden, in both formats.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "checkpoint/gguf.h"
#include "checkpoint/quantise.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/safetensors_header.h"
#include "tensor/decode_row.h"
#include "tests/unit/checkpoint/file_maker.h"

namespace millrace {
namespace {

std::vector<float> values_of(const TensorView& view) {
  std::vector<float> values(static_cast<std::size_t>(view.shape.elements()));
  decode_row(view.dtype, view.data, view.shape.elements(), values.data());
  return values;
}

struct Variant {
  const char* name;
  std::size_t tensors;
  Shape embedding;
  DType dtype;
};

class GoldenSafetensors : public ::testing::TestWithParam<Variant> {};

TEST_P(GoldenSafetensors, OpensAndHoldsNumbers) {
  const auto opened =
      open_safetensors_folder(testing::data_path(std::string("golden/") + GetParam().name));
  ASSERT_TRUE(opened) << opened.error().message;
  const Checkpoint& checkpoint = **opened;
  EXPECT_EQ(checkpoint.tensors().size(), GetParam().tensors);
  EXPECT_TRUE(checkpoint.foreign().empty());
  const TensorView* embedding = checkpoint.find("model.embed_tokens.weight");
  ASSERT_NE(embedding, nullptr);
  EXPECT_EQ(embedding->shape, GetParam().embedding);
  EXPECT_EQ(embedding->dtype, GetParam().dtype);
  std::uint64_t bytes = 0;
  for (const NamedTensor& tensor : checkpoint.tensors()) {
    bytes += static_cast<std::uint64_t>(tensor.view.bytes());
    for (const float value : values_of(tensor.view))
      ASSERT_TRUE(std::isfinite(value)) << tensor.name;
  }
  EXPECT_EQ(checkpoint.total_bytes(), bytes);
}

INSTANTIATE_TEST_SUITE_P(All, GoldenSafetensors,
                         ::testing::Values(Variant{"dense_f32", 40, {768, 64}, DType::F32},
                                           Variant{"dense_bf16", 37, {768, 128}, DType::BF16},
                                           Variant{"dense_adjust", 46, {768, 64}, DType::F32},
                                           Variant{"dense_k4", 48, {768, 64}, DType::F32},
                                           Variant{"moe_f32", 106, {768, 64}, DType::F32},
                                           Variant{"moe_bf16", 189, {768, 64}, DType::BF16}),
                         [](const auto& tested) { return std::string(tested.param.name); });

TEST(GoldenReferences, AllOpen) {
  for (const char* variant :
       {"dense_f32", "dense_bf16", "dense_adjust", "dense_k4", "moe_f32", "moe_bf16"}) {
    const auto opened =
        open_safetensors(testing::data_path(fmt::format("golden/{}/golden.safetensors", variant)));
    ASSERT_TRUE(opened) << opened.error().message;
    EXPECT_TRUE((*opened)->get("chat.logits")) << variant;
  }
}

struct Edition {
  const char* variant;
  const char* kind;
  DType dtype;  // of the matrices
};

class GoldenGguf : public ::testing::TestWithParam<Edition> {
 protected:
  void SetUp() override {
    const auto [variant, kind, dtype] = GetParam();
    auto original = open_safetensors_folder(testing::data_path(fmt::format("golden/{}", variant)));
    ASSERT_TRUE(original) << original.error().message;
    original_ = std::move(*original);
    auto gguf = open_gguf(
        testing::data_path(fmt::format("golden/{}/gguf/{}-{}.gguf", variant, variant, kind)));
    ASSERT_TRUE(gguf) << gguf.error().message;
    gguf_ = std::move(*gguf);
  }

  // The GGUF tensor is what encoding the original's rows gives, bit for bit.
  void expect_encoded(const TensorView& found, const std::string& original, DType dtype) {
    const auto view = original_->get(original);
    ASSERT_TRUE(view) << view.error().message;
    ASSERT_EQ(found.dtype, dtype) << original;
    ASSERT_EQ(found.shape.elements(), view->shape.elements()) << original;
    std::vector<std::byte> expected(static_cast<std::size_t>(found.bytes()));
    quantise_row(dtype, view->as<float>(), view->shape.elements(), expected.data());
    EXPECT_EQ(std::memcmp(expected.data(), found.data, expected.size()), 0) << original;
  }

  std::unique_ptr<Checkpoint> original_;
  GgufModel gguf_;
};

TEST_P(GoldenGguf, HoldsTheSameWeights) {
  const auto get = [&](const std::string& name) {
    const auto view = gguf_.checkpoint->get(name);
    EXPECT_TRUE(view) << view.error().message;
    return view.value_or(TensorView{});
  };
  const DType dtype = GetParam().dtype;
  const bool moe = std::string_view(GetParam().variant) == "moe_f32";
  const int attention = moe ? 2 : 1;
  expect_encoded(get("token_embd.weight"), "model.embed_tokens.weight", dtype);
  expect_encoded(get("token_embd_norm.weight"), "model.embedding_norm.weight", DType::F32);
  expect_encoded(get("blk.0.attn_norm.weight"), "model.layers.0.operator_norm.weight", DType::F32);
  expect_encoded(get("blk.0.shortconv.in_proj.weight"), "model.layers.0.conv.in_proj.weight",
                 dtype);
  const TensorView conv = get("blk.0.shortconv.conv.weight");
  EXPECT_EQ(conv.shape, (Shape{64, 3}));
  expect_encoded(conv, "model.layers.0.conv.conv.weight", DType::F32);
  expect_encoded(get("blk.0.ffn_down.weight"), "model.layers.0.feed_forward.w2.weight", dtype);
  for (const auto& [gguf, original] :
       {std::pair{"attn_q", "q_proj"}, {"attn_k", "k_proj"}, {"attn_output", "out_proj"}})
    expect_encoded(get(fmt::format("blk.{}.{}.weight", attention, gguf)),
                   fmt::format("model.layers.{}.self_attn.{}.weight", attention, original), dtype);
  if (!moe) return;
  const TensorView experts = get("blk.1.ffn_up_exps.weight");
  ASSERT_EQ(experts.shape.rank(), 3);
  ASSERT_EQ(experts.shape[0], 8);
  for (int e = 0; e < 8; ++e)
    expect_encoded(experts.slice(e),
                   fmt::format("model.layers.1.feed_forward.experts.{}.w3.weight", e), dtype);
}

TEST_P(GoldenGguf, TellsTheModel) {
  const GgufMetadata& metadata = gguf_.metadata;
  const bool moe = std::string_view(GetParam().variant) == "moe_f32";
  const std::string architecture = moe ? "lfm2moe" : "lfm2";
  EXPECT_EQ(**metadata.string("general.architecture"), architecture);
  EXPECT_EQ(**metadata.integer(architecture + ".block_count"), 4);
  EXPECT_EQ(**metadata.integer(architecture + ".shortconv.l_cache"), 3);
  EXPECT_THAT(**metadata.integers(architecture + ".attention.head_count_kv"),
              moe ? ::testing::ElementsAre(0, 0, 2, 0) : ::testing::ElementsAre(0, 2, 0, 2));
  const auto tokens = metadata.strings("tokenizer.ggml.tokens");
  ASSERT_TRUE(tokens && *tokens);
  EXPECT_EQ((**tokens).size(), 768u);
  EXPECT_EQ((**tokens)[767], "[PAD767]");
  EXPECT_EQ((**metadata.integers("tokenizer.ggml.token_type")).size(), 768u);
  EXPECT_THAT(*metadata.boolean("tokenizer.ggml.add_bos_token"), ::testing::Optional(true));
  EXPECT_EQ(metadata.origin(), gguf_.checkpoint->origin());
}

INSTANTIATE_TEST_SUITE_P(All, GoldenGguf,
                         ::testing::Values(Edition{"dense_f32", "F32", DType::F32},
                                           Edition{"dense_f32", "F16", DType::F16},
                                           Edition{"dense_f32", "BF16", DType::BF16},
                                           Edition{"dense_f32", "Q8_0", DType::Q8_0},
                                           Edition{"moe_f32", "F32", DType::F32},
                                           Edition{"moe_f32", "F16", DType::F16},
                                           Edition{"moe_f32", "BF16", DType::BF16},
                                           Edition{"moe_f32", "Q8_0", DType::Q8_0}),
                         [](const auto& tested) {
                           return fmt::format("{}_{}", tested.param.variant, tested.param.kind);
                         });

}  // namespace
}  // namespace millrace
