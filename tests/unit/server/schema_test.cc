// Request bodies: what they mean, and which are refused in whose name.
#include <gtest/gtest.h>

#include "api/embeddings.h"
#include "api/generation_spec.h"
#include "api/logprobs_json.h"
#include "api/renderer.h"
#include "base/json.h"
#include "server/metrics.h"

namespace millrace::server {
namespace {

const LoadedModel& nano() {
  static const LoadedModel kModel =
      *describe_model(MILLRACE_SOURCE_DIR "/models/nano", LoadOptions{});
  return kModel;
}

ServedModel served() {
  static const std::shared_ptr<const GrammarCompiler> kGrammars = grammars_of(nano());
  return {.files = nano(),
          .context = 1024,
          .names = {"nano", "other"},
          .sampling = {.temperature = 0.3},
          .grammars = kGrammars};
}

std::string with(const std::string& more) {
  return R"({"messages": [{"role": "user", "content": "Hi"}])" + (more.empty() ? "" : ", " + more) +
         "}";
}

GenerationSpec chat(const std::string& more) {
  auto spec = parse_chat(Json::parse(with(more)), served());
  EXPECT_TRUE(spec.has_value()) << (spec ? "" : spec.error().message);
  return spec ? std::move(*spec) : GenerationSpec{};
}

TEST(ChatSchema, ReadsEverything) {
  const GenerationSpec spec =
      chat(R"("model": "other", "temperature": 0.5, "top_p": 0.9, "top_k": -1,
    "min_p": 0.1, "repetition_penalty": 1.1, "presence_penalty": -2, "frequency_penalty": 2.0,
    "seed": -7, "logit_bias": {"5": -100, "6": 1.5}, "stop": ["a", "b"], "stop_token_ids": [9],
    "n": 3, "max_tokens": 5, "max_completion_tokens": 7, "ignore_eos": true, "logprobs": true,
    "top_logprobs": 4, "stream": true, "stream_options": {"include_usage": true},
    "return_token_ids": true, "user": "x", "metadata": {"a": "b"}, "store": false, "best_of": null,
    "parallel_tool_calls": false, "skip_special_tokens": false, "response_format": {"type": "text"})");
  const SamplingParams& sampling = spec.request.sampling;
  EXPECT_EQ(sampling.temperature, 0.5);
  EXPECT_EQ(sampling.top_p, 0.9);
  EXPECT_EQ(sampling.top_k, 0);
  EXPECT_EQ(sampling.min_p, 0.1);
  EXPECT_EQ(sampling.repetition_penalty, 1.1);
  EXPECT_EQ(sampling.presence_penalty, -2);
  EXPECT_EQ(sampling.frequency_penalty, 2);
  EXPECT_EQ(sampling.seed, static_cast<std::uint64_t>(-7));
  EXPECT_EQ(sampling.logit_bias, (std::vector<std::pair<TokenId, float>>{{5, -100.f}, {6, 1.5f}}));
  EXPECT_EQ(sampling.logprobs, 4);
  EXPECT_EQ(spec.request.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(spec.request.stop_tokens, std::vector<TokenId>{9});
  EXPECT_EQ(spec.request.max_tokens, 7);
  EXPECT_TRUE(spec.request.ignore_eos);
  EXPECT_FALSE(spec.request.skip_special_tokens);
  EXPECT_EQ(spec.n, 3);
  EXPECT_TRUE(spec.stream && spec.include_usage && spec.return_token_ids);
  EXPECT_FALSE(spec.parallel_tool_calls);
  EXPECT_EQ(nano().tokenizer->decode(spec.prompts.at(0), {.skip_special_tokens = false}),
            "<|startoftext|><|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n");
}

TEST(ChatSchema, Defaults) {
  const GenerationSpec spec = chat("");
  EXPECT_EQ(spec.request.sampling.temperature, 0.3);  // the served model's
  EXPECT_EQ(spec.request.sampling.logprobs, -1);
  EXPECT_EQ(spec.request.max_tokens, 0);
  EXPECT_TRUE(spec.parse && spec.syntax.reasoning);
  EXPECT_FALSE(spec.syntax.tool_calls || spec.stream);
}

TEST(ChatSchema, ToolsAreShownToTheModelUnlessNoneIsChosen) {
  const std::string tools = R"("tools": [{"type": "function", "function": {"name": "f",
    "parameters": {"type": "object", "properties": {"a": {}}}}}])";
  const GenerationSpec spec = chat(tools);
  EXPECT_TRUE(spec.syntax.tool_calls);
  EXPECT_EQ(spec.syntax.tools.at("f"), std::vector<std::string>{"a"});
  EXPECT_EQ(spec.request.shown_special_tokens.size(), 2u);
  const auto text = nano().tokenizer->decode(spec.prompts.at(0));
  EXPECT_NE(text.find("List of tools: [{\"type\": \"function\""), std::string::npos) << text;
  const GenerationSpec none = chat(tools + R"(, "tool_choice": "none")");
  EXPECT_FALSE(none.syntax.tool_calls);
  EXPECT_EQ(none.prompts, chat("").prompts);
}

TEST(ChatSchema, Refusals) {
  struct Refusal {
    std::string more, param;
    int status = 400;
  };
  const Refusal refusals[] = {
      {R"("model": "gpt-9")", "model", 404},
      {R"("model": 3)", "model"},
      {R"("nonsense": 1)", "nonsense"},
      {R"("temperature": "hot")", "temperature"},
      {R"("temperature": -0.1)", "temperature"},
      {R"("top_p": 1.5)", "top_p"},
      {R"("top_k": -2)", "top_k"},
      {R"("top_k": 1.5)", "top_k"},
      {R"("seed": 18446744073709551616)", "seed"},
      {R"("seed": 18446744073709551615)", "seed"},
      {R"("n": 129)", "n"},
      {R"("best_of": 2)", "best_of"},
      {R"("max_tokens": 0)", "max_tokens"},
      {R"("max_tokens": -5)", "max_tokens"},
      {R"("stop": [1])", "stop"},
      {R"("stop": "")", "stop"},
      {R"("stop_token_ids": [1024])", "stop_token_ids"},
      {R"("stop_token_ids": [-1])", "stop_token_ids"},
      {R"("stop_token_ids": ["5"])", "stop_token_ids"},
      {R"("logit_bias": {"x": 1})", "logit_bias"},
      {R"("logit_bias": {"1024": 1})", "logit_bias"},
      {R"("logit_bias": {"5": 101})", "logit_bias"},
      {R"("logit_bias": [5])", "logit_bias"},
      {R"("logprobs": 5)", "logprobs"},
      {R"("top_logprobs": 2)", "top_logprobs"},
      {R"("logprobs": true, "top_logprobs": 21)", "top_logprobs"},
      {R"("stream_options": {"include_usage": true})", "stream_options"},
      {R"("stream": true, "stream_options": {"x": 1})", "stream_options.x"},
      {R"("response_format": {"type": "xml"})", "response_format"},
      {R"("response_format": {"type": "json_schema", "json_schema": {"schema": {"not": {}}}})",
       "response_format"},
      {R"("tool_choice": "required")", "tool_choice"},
      {R"("tool_choice": {"type": "function", "function": {"name": "f"}})", "tool_choice"},
      {R"("tools": [{"type": "web"}])", "tools[0].type"},
      {R"("tools": [{"type": "function"}])", "tools[0].function.name"},
      {R"("tools": [{"type": "function", "function": {"name": "f", "parameters": []}}])",
       "tools[0].function.parameters"},
      {R"("functions": [])", "functions"},
      {R"("audio": {})", "audio"},
      {R"("store": true)", "store"},
      {R"("guided_regex": "(")", "guided_regex"},
      {R"("guided_choice": ["a", 3])", "guided_choice"},
      {R"("guided_choice": ["a"], "guided_regex": "a")", "guided_choice"},
      {R"("structured_outputs": {"json": {"type": "word"}})", "structured_outputs.json"},
      {R"("structured_outputs": {"xml": ""})", "structured_outputs.xml"},
      {R"("min_tokens": -3)", "min_tokens"},
      {R"("cache_salt": 7)", "cache_salt"},
      {R"("chat_template": "{{ 1 }}")", "chat_template"},
  };
  for (const Refusal& refusal : refusals) {
    SCOPED_TRACE(refusal.more);
    const auto spec = parse_chat(Json::parse(with(refusal.more)), served());
    ASSERT_FALSE(spec.has_value());
    EXPECT_EQ(spec.error().param, refusal.param);
    EXPECT_EQ(spec.error().status, refusal.status);
    EXPECT_NE(spec.error().message.find(refusal.param), std::string::npos) << spec.error().message;
  }
}

TEST(ChatSchema, WrongMessages) {
  for (const char* body :
       {"3", "null", "[]", "{}", R"({"messages": []})", R"({"messages": {}})",
        R"({"messages": [1]})", R"({"messages": [{}]})",
        R"({"messages": [{"role": 1, "content": "x"}]})", R"({"messages": [{"role": "user"}]})",
        R"({"messages": [{"role": "user", "content": 1}]})",
        R"({"messages": [{"role": "user", "content": [{"text": "x"}]}]})",
        R"({"messages": [{"role": "user", "content": [{"type": "text"}]}]})",
        R"({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]})",
        R"({"messages": [{"role": "assistant", "tool_calls": [{}]}]})",
        R"({"messages": [{"role": "assistant", "tool_calls": 1}]})"}) {
    SCOPED_TRACE(body);
    const auto spec = parse_chat(Json::parse(body), served());
    ASSERT_FALSE(spec.has_value());
    EXPECT_EQ(spec.error().status, 400);
    EXPECT_FALSE(spec.error().message.empty());
  }
}

TEST(CompletionSchema, Prompts) {
  const auto parse = [](const char* body) { return parse_completion(Json::parse(body), served()); };
  const auto texts = parse(R"({"prompt": ["Hi", [5, 6], "a"], "n": 2, "echo": true})");
  ASSERT_TRUE(texts.has_value()) << texts.error().message;
  EXPECT_EQ(texts->prompts.size(), 3u);
  EXPECT_EQ(texts->choices(), 6u);
  EXPECT_EQ(texts->echo.size(), 3u);
  EXPECT_EQ(texts->request.max_tokens, 16);
  const auto ids = parse(R"({"prompt": [5, 6]})");
  ASSERT_TRUE(ids.has_value());
  EXPECT_EQ(ids->prompts, (std::vector<std::vector<TokenId>>{{5, 6}}));
  for (const char* body :
       {"{}", R"({"prompt": 5})", R"({"prompt": []})", R"({"prompt": [[]]})",
        R"({"prompt": [1024]})", R"({"prompt": [1.5]})", R"({"prompt": [5, "a"]})",
        R"({"prompt": [{}]})", R"({"prompt": "a", "suffix": "b"})"}) {
    SCOPED_TRACE(body);
    const auto spec = parse(body);
    ASSERT_FALSE(spec.has_value());
    EXPECT_EQ(spec.error().status, 400);
  }
}

TEST(CompletionSchema, LogProbabilitiesOfPrompts) {
  const auto parse = [](const std::string& more) {
    return parse_completion(Json::parse(R"({"prompt": ["Hi", [5, 6]])" + more + "}"), served());
  };
  const auto plain = parse("");
  ASSERT_TRUE(plain.has_value());
  EXPECT_FALSE(plain->request.prompt_logprobs);
  EXPECT_FALSE(plain->request.prompt_only);
  const auto echoed = parse(R"(, "echo": true, "logprobs": 1, "max_tokens": 0, "min_tokens": 1)");
  ASSERT_TRUE(echoed.has_value()) << echoed.error().message;
  EXPECT_TRUE(echoed->echo_logprobs);
  EXPECT_FALSE(echoed->prompt_logprobs);
  EXPECT_EQ(echoed->request.prompt_logprobs, 1);
  EXPECT_EQ(echoed->echo.size(), 2u);
  EXPECT_TRUE(echoed->request.prompt_only);
  EXPECT_FALSE(echoed->request.constraint) << "there is nothing to constrain";
  const auto both =
      parse(R"(, "echo": true, "logprobs": 3, "prompt_logprobs": 0, "max_tokens": 1, "n": 2)");
  ASSERT_TRUE(both.has_value()) << both.error().message;
  EXPECT_EQ(both->prompt_logprobs, 0);
  EXPECT_EQ(both->request.prompt_logprobs, 3);
  EXPECT_FALSE(both->request.prompt_only);
  EXPECT_TRUE(parse(R"(, "echo": true, "logprobs": 1, "stream": true)").has_value());
  EXPECT_TRUE(parse(R"(, "echo": true, "max_tokens": 0)").has_value());

  const std::string ids = R"({"prompt": [)" + std::string("5") + [] {
    std::string more;
    for (int i = 0; i < 50'000; ++i) more += ",5";
    return more;
  }() + "]";
  for (const auto& [body, field] : std::vector<std::pair<std::string, std::string>>{
           {R"({"prompt": "a", "max_tokens": 0})", "max_tokens"},
           {R"({"prompt": "a", "prompt_logprobs": 21})", "prompt_logprobs"},
           {R"({"prompt": "a", "prompt_logprobs": -1})", "prompt_logprobs"},
           {R"({"prompt": "a", "prompt_logprobs": true})", "prompt_logprobs"},
           {R"({"prompt": "a", "prompt_logprobs": 1, "stream": true})", "prompt_logprobs"},
           {R"({"prompt": "a", "echo": true, "logprobs": 1, "stream": true, "n": 2})", "n"},
           {ids + R"(, "prompt_logprobs": 20})", "prompt_logprobs"},
           {ids + R"(, "echo": true, "logprobs": 20})", "logprobs"}}) {
    SCOPED_TRACE(field);
    const auto spec = parse_completion(Json::parse(body), served());
    ASSERT_FALSE(spec.has_value());
    EXPECT_EQ(spec.error().status, 400);
    EXPECT_EQ(spec.error().param, field);
  }
}

// The renderers' lists: first tokens of which nothing is known, texts that hide tokens.
TEST(CompletionSchema, ShowsLogProbabilitiesOfPrompts) {
  const Tokenizer& tokenizer = *nano().tokenizer;
  const std::vector<TokenId> prompt = *tokenizer.encode("Caf\xc3\xa9 now");
  ASSERT_TRUE(tokenizer.is_special(prompt.front()));
  auto scored = std::make_shared<PromptLogprobs>();
  scored->best_each = 2;
  for (std::size_t i = 1; i < prompt.size(); ++i) {
    scored->tokens.push_back({-0.5f, 2});
    scored->best.push_back({100, -0.25f});
    scored->best.push_back({prompt[i], -0.5f});
  }
  const Json echoed = echoed_logprobs(prompt, &*scored, 1, "Caf\xc3\xa9 now", &tokenizer);
  ASSERT_EQ(echoed["tokens"].size(), prompt.size());
  EXPECT_TRUE(echoed["token_logprobs"][0].is_null());
  EXPECT_TRUE(echoed["top_logprobs"][0].is_null());
  EXPECT_EQ(echoed["token_logprobs"][1], -0.5);
  EXPECT_EQ(echoed["top_logprobs"][1].size(), 2u);
  // The beginning of text is not shown; characters count, not bytes.
  EXPECT_EQ(echoed["text_offset"][0], 0);
  EXPECT_EQ(echoed["text_offset"][1], 0);
  const std::string last = echoed["tokens"].back();
  EXPECT_EQ(echoed["text_offset"].back(), 8 - std::ssize(last));
  EXPECT_TRUE(echoed_logprobs(prompt, nullptr, 1, "", &tokenizer)["token_logprobs"][1].is_null());

  const Json list = prompt_logprobs_json(prompt, &*scored, 2, &tokenizer);
  ASSERT_EQ(list.size(), prompt.size());
  EXPECT_TRUE(list[0].is_null());
  const Json& own = list[1][std::to_string(prompt[1])];
  EXPECT_EQ(own["logprob"], -0.5);
  EXPECT_EQ(own["rank"], 2);
  EXPECT_EQ(own["decoded_token"], tokenizer.decode(std::vector<TokenId>{prompt[1]}));
  EXPECT_EQ(list[1]["100"]["rank"], 1);
  EXPECT_EQ(list[1].size(), 2u);
  EXPECT_EQ(prompt_logprobs_json(prompt, &*scored, 0, &tokenizer)[1].size(), 1u);
  EXPECT_TRUE(prompt_logprobs_json(prompt, nullptr, 0, &tokenizer).is_null());
}

TEST(EmbeddingSchema, ReadsEverything) {
  const auto parse = [](const char* body) { return parse_embeddings(Json::parse(body), served()); };
  const auto spec = parse(
      R"({"input": ["Hi", [5, 6]], "model": "nano", "encoding_format": "base64", "user": "u",
          "dimensions": 256, "pooling": "mean", "normalize": false, "priority": 2,
          "cache_salt": "s"})");
  ASSERT_TRUE(spec.has_value()) << spec.error().message;
  ASSERT_EQ(spec->requests.size(), 2u);
  EXPECT_EQ(spec->requests[1].prompt, (std::vector<TokenId>{5, 6}));
  for (const Request& request : spec->requests) {
    EXPECT_EQ(request.pooling, Pooling::Mean);
    EXPECT_EQ(request.priority, 2);
    EXPECT_EQ(request.cache_salt, "s");
  }
  EXPECT_TRUE(spec->base64);
  EXPECT_FALSE(spec->normalised);
  const auto plain = parse(R"({"input": "Hi"})");
  ASSERT_TRUE(plain.has_value());
  EXPECT_EQ(plain->requests.front().pooling, Pooling::Last);
  EXPECT_TRUE(plain->normalised);
  EXPECT_FALSE(plain->base64);
}

TEST(EmbeddingSchema, Refusals) {
  const std::pair<const char*, const char*> refusals[] = {
      {"{}", "input"},
      {R"({"input": []})", "input"},
      {R"({"input": [["a"]]})", "input"},
      {R"({"input": {"a": 1}})", "input"},
      {R"({"input": "a", "dimensions": 64})", "dimensions"},
      {R"({"input": "a", "encoding_format": "int8"})", "encoding_format"},
      {R"({"input": "a", "pooling": "max"})", "pooling"},
      {R"({"input": "a", "truncate_prompt_tokens": 4})", "truncate_prompt_tokens"},
      {R"({"input": "a", "model": "third"})", "model"}};
  for (const auto& [body, field] : refusals) {
    SCOPED_TRACE(body);
    const auto spec = parse_embeddings(Json::parse(body), served());
    ASSERT_FALSE(spec.has_value());
    EXPECT_EQ(spec.error().param, field);
  }
}

TEST(EmbeddingSchema, Bodies) {
  EmbeddingSpec spec;
  const Json numbers = embeddings_body(spec, "nano", {{3, 4}, {0, 0}}, 7);
  EXPECT_EQ(numbers["data"][0]["embedding"], Json({0.6f, 0.8f}));
  EXPECT_EQ(numbers["data"][1]["embedding"], Json({0.0f, 0.0f}));
  EXPECT_EQ(numbers["data"][1]["index"], 1);
  EXPECT_EQ(numbers["usage"]["total_tokens"], 7);
  spec.base64 = true;
  spec.normalised = false;
  const Json text = embeddings_body(spec, "nano", {{1.0f, -2.5f}}, 1);
  EXPECT_EQ(text["data"][0]["embedding"], "AACAPwAAIMA=");
}

TEST(ApiErrors, Shapes) {
  EXPECT_EQ(
      dump(error_json(bad_field("n", "is odd"))),
      R"({"error":{"message":"n: is odd","type":"invalid_request_error","param":"n","code":null}})");
  EXPECT_EQ(
      dump(anthropic_error_json(overloaded(3))),
      R"({"type":"error","error":{"type":"rate_limit_error","message":"the server is full: try again later"}})");
  // Not UTF-8: replaced, not thrown.
  EXPECT_EQ(dump(Json("\xff")), "\"\xEF\xBF\xBD\"");
}

TEST(MetricsText, EscapesLabelsAndAddsBucketsUp) {
  Metrics metrics;
  for (const double value : {0.0005, 0.003, 500.0}) metrics.time_to_first_token.observe(value);
  const std::string text = metrics.text("a\"b\\c\nd", {.running = 2});
  EXPECT_NE(text.find(R"(vllm:num_requests_running{model_name="a\"b\\c\nd"} 2)"),
            std::string::npos);
  EXPECT_NE(text.find(R"(seconds_bucket{model_name="a\"b\\c\nd",le="0.005"} 2)"),
            std::string::npos);
  EXPECT_NE(text.find(R"(seconds_bucket{model_name="a\"b\\c\nd",le="+Inf"} 3)"), std::string::npos);
}

TEST(ChoiceTest, OneCallIsEnoughWithoutParallelCalls) {
  GenerationSpec spec;
  spec.parse = true;
  spec.parallel_tool_calls = false;
  Choice choice(spec, 0);
  std::vector<AnswerEvent> events;
  choice.take({.text = "<|tool_call_start|>[f(a=1), g("}, events);
  EXPECT_TRUE(choice.wants_end());
  choice.take({.text = "b=2)]<|tool_call_end|>"}, events);
  EXPECT_TRUE(events.empty());
  choice.take({.finish = FinishReason::Cancelled}, events);
  EXPECT_EQ(choice.finish_reason(), "tool_calls");
  ASSERT_EQ(choice.answer().calls.size(), 1u);
  EXPECT_EQ(choice.answer().calls[0].arguments, R"({"a": 1})");
}

}  // namespace
}  // namespace millrace::server
