// The public API on the small checkpoints and the model that ships.
#include "engine/engine.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "base/json.h"
#include "checkpoint/safetensors.h"
#include "engine/parts.h"
#include "model/workspace.h"
#include "tests/support/golden_data.h"
#include "tests/support/small_stack.h"
#include "tests/support/test_device.h"
#include "text/chat_request.h"

namespace millrace::testing {
namespace {

namespace fs = std::filesystem;

std::string nano() {
  return repository_path("models/nano");
}

EngineOptions options_for(const std::string& model) {
  EngineOptions options = exact_engine_options(model);
  options.threads = 2;
  return options;
}

std::unique_ptr<Engine> open_engine(const std::string& model, std::int64_t sequences = 4) {
  EngineOptions options = options_for(model);
  options.max_sequences = sequences;
  options.context = 512;
  return value_or_die(Engine::open(options));
}

Completion ask(Engine& engine, Request request) {
  return value_or_die(engine.submit(std::move(request), nullptr)).wait();
}

Request question(Engine& engine, const std::string& text) {
  Request request;
  request.prompt = value_or_die(engine.chat_prompt(text));
  return request;
}

TEST(Engine, StreamsWhatItReturns) {
  const auto engine = open_engine(nano());
  std::string streamed;
  int finishes = 0;
  Request request = question(*engine, "What is 12 plus 30?");
  Answer answer = value_or_die(engine->submit(std::move(request), [&](const TokenEvent& event) {
    EXPECT_EQ(finishes, 0) << "an event after the last";
    streamed += event.text;
    finishes += event.finish.has_value();
  }));
  const Completion& completion = answer.wait();
  EXPECT_EQ(completion.finish, FinishReason::Stop);
  EXPECT_EQ(streamed, completion.text);
  EXPECT_EQ(finishes, 1);
  EXPECT_NE(completion.text.find("42"), std::string::npos) << completion.text;
  EXPECT_EQ(completion.usage.completion_tokens, std::ssize(completion.tokens));
}

// The same seed gives the same tokens whether a request is alone or among others.
TEST(Engine, SeededSamplingDoesNotDependOnTheBatch) {
  const auto engine = open_engine(nano(), 6);
  const auto story = [&](std::uint64_t seed) {
    Request request = question(*engine, "Tell me a story about a cat.");
    request.sampling.temperature = 1.2;
    request.sampling.seed = seed;
    request.max_tokens = 60;
    return request;
  };
  const Completion alone = ask(*engine, story(7));
  std::vector<Answer> answers;
  for (const std::uint64_t seed : {1, 7, 3, 7, 5, 6})
    answers.push_back(value_or_die(engine->submit(story(seed), nullptr)));
  EXPECT_EQ(answers[1].wait().tokens, alone.tokens);
  EXPECT_EQ(answers[3].wait().tokens, alone.tokens);
  EXPECT_NE(answers[0].wait().tokens, alone.tokens);
}

// The kernels that a device would choose, whatever it is, and the emulated GPU's.
class EngineOnDevice : public ::testing::TestWithParam<std::string> {};

TEST_P(EngineOnDevice, AnswersWithItsOwnKernels) {
  EngineOptions options = options_for(nano());
  options.device = GetParam();
  options.kernels = {};
  options.context = 64;
  const auto engine = value_or_die(Engine::open(options));
  Request request = question(*engine, "What is 2 plus 3?");
  request.max_tokens = 12;
  EXPECT_NE(ask(*engine, std::move(request)).text.find("2+3=5"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Devices, EngineOnDevice, ::testing::ValuesIn(test_device_names()),
                         [](const auto& instance) { return test_name(instance.param); });

TEST(Engine, ANextTurnReusesItsMemory) {
  const auto engine = open_engine(nano());
  ChatRequest chat;
  chat.messages = Json::array({{{"role", "user"}, {"content", "My name is Lucy."}}});
  chat.add_generation_prompt = true;
  Request first;
  first.prompt = value_or_die(engine->chat_prompt(chat));
  const Completion greeting = ask(*engine, first);
  EXPECT_EQ(greeting.usage.cached_tokens, 0);
  chat.messages.push_back({{"role", "assistant"}, {"content", greeting.text}});
  chat.messages.push_back({{"role", "user"}, {"content", "What is my name?"}});
  Request second;
  second.prompt = value_or_die(engine->chat_prompt(chat));
  const Completion warm = ask(*engine, second);
  EXPECT_GT(warm.usage.cached_tokens, std::ssize(first.prompt));
  EXPECT_NE(warm.text.find("Lucy"), std::string::npos) << warm.text;
  // A cold engine says the same.
  const auto cold = open_engine(nano());
  EXPECT_EQ(ask(*cold, second).tokens, warm.tokens);
  // An edited history goes on from the edit, with a replay.
  Request edited = second;
  edited.prompt[edited.prompt.size() - 4] = 100;
  const Completion branch = ask(*engine, edited);
  EXPECT_GT(branch.usage.cached_tokens, 0);
  EXPECT_GT(branch.usage.replayed_tokens, 0);
  EXPECT_EQ(ask(*open_engine(nano()), edited).tokens, branch.tokens);
}

TEST(Engine, MoreRequestsThanSlotsAllEnd) {
  const auto engine = open_engine(nano(), 2);
  std::vector<Answer> answers;
  for (int i = 0; i < 9; ++i) {
    Request request = question(*engine, "Spell the word garden.");
    request.max_tokens = 20 + i;
    answers.push_back(value_or_die(engine->submit(std::move(request), nullptr)));
  }
  const std::vector<TokenId> first = answers[0].wait().tokens;
  for (Answer& answer : answers) {
    const Completion& completion = answer.wait();
    EXPECT_TRUE(std::equal(first.begin(),
                           first.begin() + std::min<std::ptrdiff_t>(std::ssize(first), 20),
                           completion.tokens.begin()));
  }
}

TEST(Engine, CancelEndsAnAnswerAndTheEngineLivesOn) {
  const auto engine = open_engine(nano());
  Request request = question(*engine, "Tell me a story about a dog.");
  request.ignore_eos = true;
  int events = 0;
  std::optional<Answer> answer;
  std::atomic<bool> ready = false;
  answer = value_or_die(engine->submit(std::move(request), [&](const TokenEvent&) {
    while (!ready) std::this_thread::yield();
    if (++events == 5) answer->cancel();
  }));
  ready = true;
  EXPECT_EQ(answer->wait().finish, FinishReason::Cancelled);
  EXPECT_LT(events, 10);
  EXPECT_EQ(ask(*engine, question(*engine, "What is 1 plus 1?")).finish, FinishReason::Stop);
}

TEST(Engine, DestructionCancelsWhatRuns) {
  auto engine = open_engine(nano());
  Request request = question(*engine, "Tell me a story about a dog.");
  request.ignore_eos = true;
  Answer answer = value_or_die(engine->submit(std::move(request), nullptr));
  engine.reset();
  EXPECT_EQ(answer.wait().finish, FinishReason::Cancelled);
}

TEST(Engine, StopsAtStringsAcrossTokens) {
  const auto engine = open_engine(nano());
  Request request = question(*engine, "Tell me a story about a fox.");
  const std::string whole = ask(*engine, request).text;
  ASSERT_GT(whole.size(), 60u);
  request.stop = {whole.substr(37, 9)};
  const Completion stopped = ask(*engine, request);
  EXPECT_EQ(stopped.finish, FinishReason::Stop);
  EXPECT_EQ(stopped.text, whole.substr(0, whole.find(request.stop[0])));
}

TEST(Engine, RefusesBadRequestsInOneLine) {
  const auto engine = open_engine(nano());
  const auto error_of = [&](Request request) {
    const auto answer = engine->submit(std::move(request), nullptr);
    return answer ? std::string("no error") : answer.error().message;
  };
  EXPECT_EQ(error_of({}), "the prompt is empty: at least one token is needed");
  EXPECT_EQ(error_of({.prompt = {5000}}), "the prompt holds token 5000, expected 0 to 1023");
  EXPECT_EQ(error_of({.prompt = std::vector<TokenId>(600, 3)}),
            "the prompt has 600 tokens; the context holds 512 for prompt and answer");
  EXPECT_EQ(error_of({.prompt = {1}, .sampling = {.top_p = 2}}),
            "top_p: found 2, expected a number from 1e-09 to 1");
}

// Greedy tokens and the last logits of the GGUF editions, computed by transformers over the
// dequantised tensors. Where a GPU computes in BF16, means are bounded by the number of roundings,
// among them those of weights that are stored finer.
class GgufGolden : public ::testing::TestWithParam<std::pair<const char*, const char*>> {};

TEST_P(GgufGolden, TailLogitsAndGreedyTokens) {
  const auto [variant, edition] = GetParam();
  const std::string folder = data_path("golden/" + std::string(variant) + "/gguf/");
  const Json reference = value_or_die(read_json_file(folder + "reference.json"));
  const auto tensors = value_or_die(open_safetensors(folder + "reference.safetensors"));
  EngineOptions options = options_for(folder + variant + "-" + edition + ".gguf");
  options.accuracy = Accuracy::Exact;  // the reference computes in fp32 over the stored weights
  options.kv_dtype = DType::F32;
  options.context = 256;
  options.step_budget = 256;
  const auto parts = value_or_die(make_parts(value_or_die(load_model(options.model, {})), options));
  RunnerLimits limits = parts->sizes.limits;
  limits.max_logit_rows = limits.max_rows;
  parts->runner.emplace(*parts->model, *parts->device, *parts->cache, limits);
  const ModelConfig& config = parts->files.config;
  const std::int64_t vocab = config.vocab;
  const bool narrow = activation_dtype(*parts->device, config) == DType::BF16;
  const int roundings = roundings_of(config) + 4 * static_cast<int>(config.layers.size());

  for (const Json& prompt : reference.at("editions").at(edition).at("prompts")) {
    const std::vector<TokenId> ids = prompt.at("ids").get<std::vector<TokenId>>();
    auto memory = SequenceMemory::open(*parts->cache, 256);
    ASSERT_TRUE(memory->reserve(std::ssize(ids) + 64));
    StepSpan span = {&*memory, ids, SpanKind::Prefill, Logits::All};
    parts->runner->run({&span, 1});
    const std::int64_t rows = parts->runner->logit_count();
    const TensorView* tail = tensors->find(std::string(edition) + "." +
                                           prompt.at("name").get<std::string>() + ".logits_tail");
    if (tail && narrow) {
      std::vector<float> got;
      for (std::int64_t r = rows - 8; r < rows; ++r) {
        const std::span<float> logits = parts->runner->logits(r);
        got.insert(got.end(), logits.begin(), logits.end());
      }
      const std::vector<float> want(tail->as<float>(), tail->as<float>() + 8 * vocab);
      EXPECT_LE(mean_difference(got, want), narrow_mean_tolerance(want, roundings));
    } else if (tail) {
      for (std::int64_t r = 0; r < 8; ++r) {
        const std::span<float> got = parts->runner->logits(rows - 8 + r);
        for (std::int64_t i = 0; i < vocab; ++i) {
          const float want = tail->as<float>()[r * vocab + i];
          ASSERT_TRUE(std::abs(got[static_cast<std::size_t>(i)] - want) <= 1e-3f)
              << r << "," << i << ": " << got[static_cast<std::size_t>(i)] << " against " << want;
        }
      }
    }
    const std::vector<TokenId> greedy = prompt.at("greedy").get<std::vector<TokenId>>();
    const std::vector<double> margins = prompt.at("margins").get<std::vector<double>>();
    std::int64_t row = rows - 1;
    if (narrow && config.moe) continue;  // experts that nearly tie are chosen otherwise
    const double least_margin = narrow ? 1.0 : 2e-3;
    for (std::size_t i = 0; i < greedy.size() && (narrow || margins[i] >= least_margin); ++i) {
      const std::span<float> logits = parts->runner->logits(row);
      TokenId best =
          static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
      if (margins[i] >= least_margin) {
        ASSERT_EQ(best, greedy[i]) << "token " << i;
      }
      best = greedy[i];
      span = {&*memory, {&best, 1}, SpanKind::Decode, Logits::Last};
      parts->runner->run({&span, 1});
      row = 0;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Editions, GgufGolden,
    ::testing::Values(std::pair("dense_f32", "F32"), std::pair("dense_f32", "F16"),
                      std::pair("dense_f32", "BF16"), std::pair("dense_f32", "Q8_0"),
                      std::pair("moe_f32", "F32"), std::pair("moe_f32", "F16"),
                      std::pair("moe_f32", "BF16"), std::pair("moe_f32", "Q8_0"),
                      std::pair("quants", "MIXED")),  // every quantised format in one file
    [](const auto& instance) {
      return std::string(instance.param.first) + "_" + instance.param.second;
    });

// Hugging Face and GGUF forms of the same text files give the same tokens and template.
TEST(Engine, GgufBringsTokenizerAndTemplate) {
  const auto from_folder = value_or_die(load_model(data_path("golden/dense_f32"), {}));
  const auto from_gguf =
      value_or_die(load_model(data_path("golden/dense_f32/gguf/dense_f32-F32.gguf"), {}));
  ASSERT_TRUE(from_gguf.tokenizer && from_gguf.chat_template);
  const std::string text = "Where does the water go? <|im_end|> 123 \xc3\xa9";
  EXPECT_EQ(value_or_die(from_folder.tokenizer->encode(text)),
            value_or_die(from_gguf.tokenizer->encode(text)));
  ChatRequest chat;
  chat.messages = Json::array({{{"role", "user"}, {"content", "Hi"}}});
  chat.add_generation_prompt = true;
  EXPECT_EQ(value_or_die(from_folder.chat_template->render(chat)),
            value_or_die(from_gguf.chat_template->render(chat)));
}

// Dummy weights of every type run, and the memory plan counts what they take.
TEST(Engine, DummyWeightsOfEveryType) {
  for (const DType dtype :
       {DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q4_0, DType::Q4_1, DType::Q5_0,
        DType::Q5_1, DType::Q4_K, DType::Q5_K, DType::Q6_K}) {
    EngineOptions options = options_for(nano() + "/config.json");
    options.load.format = LoadFormat::Dummy;
    options.load.dummy_dtype = dtype;
    options.context = 64;
    const auto engine = value_or_die(Engine::open(options));
    Request request;
    request.prompt = {1, 2, 3};
    request.max_tokens = 4;
    request.ignore_eos = true;
    const Completion completion = ask(*engine, request);
    EXPECT_EQ(completion.finish, FinishReason::Length) << to_string(dtype) << completion.error;
    EXPECT_EQ(completion.tokens.size(), 4u);
    LoadedModel described = value_or_die(describe_model(options.model, options.load));
    EXPECT_EQ(value_or_die(text_weight_bytes(described, options.load)),
              engine->model().weights().bytes);
  }
}

// A damaged folder gives one line that names the file.
TEST(Engine, DamagedFilesAreNamed) {
  const fs::path folder =
      fs::temp_directory_path() / ("millrace-damage-" + std::to_string(::getpid()));
  const std::vector<std::string> names = {
      "config.json",           "model.safetensors",      "tokenizer.json",
      "tokenizer_config.json", "generation_config.json", "chat_template.jinja"};
  const auto fresh = [&] {
    fs::remove_all(folder);
    fs::create_directories(folder);
    for (const std::string& name : names)
      fs::copy(data_path("golden/dense_f32/" + name), folder / name);
  };
  for (const std::string& name : names) {
    fresh();
    const auto size = fs::file_size(folder / name);
    fs::resize_file(folder / name, size / 2);
    const auto model = load_model(folder.string(), {});
    if (model) continue;  // half a template can be a template
    EXPECT_NE(model.error().message.find(name), std::string::npos) << model.error().message;
    EXPECT_EQ(model.error().message.find('\n'), std::string::npos);
  }
  fresh();
  std::ofstream(folder / "config.json") << R"({"model_type": "lfm3"})";
  const auto stranger = load_model(folder.string(), {});
  ASSERT_FALSE(stranger.has_value());
  EXPECT_EQ(stranger.error().code, ErrorCode::Unsupported);
  EXPECT_NE(stranger.error().message.find("'lfm3'"), std::string::npos);
  fresh();
  Json config = value_or_die(read_json_file((folder / "config.json").string()));
  config["hidden_size"] = 128;
  std::ofstream(folder / "config.json") << config.dump();
  EngineOptions options;
  options.model = folder.string();
  const auto wrong = Engine::open(options);
  ASSERT_FALSE(wrong.has_value());
  EXPECT_NE(wrong.error().message.find("model.embed_tokens.weight has shape [768, 64], the config "
                                       "asks for [768, 128]"),
            std::string::npos)
      << wrong.error().message;
  fs::remove_all(folder);
}

}  // namespace
}  // namespace millrace::testing
