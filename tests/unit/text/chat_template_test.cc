// Chat templates against transformers' apply_chat_template (tools/golden/make_chat_cases.py and
// tests/data/golden), and where a model's folder keeps them.
#include "text/chat_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/json.h"
#include "tests/unit/text/template_support.h"
#include "text/chat_request.h"

namespace millrace {
namespace {

using ::testing::HasSubstr;

const LocalTime kNow = testing::local_time(2025, 3, 9, 14, 5, 6);

SpecialTokens tokens_of(const Json& object) {
  SpecialTokens tokens;
  for (const auto& [name, text] : object.items()) tokens[name] = text.get<std::string>();
  return tokens;
}

// The fixtures' options are the keyword arguments of apply_chat_template.
ChatRequest request_of(const Json& test) {
  ChatRequest request;
  request.messages = test["messages"];
  request.now = kNow;
  for (const auto& [name, value] : test["options"].items()) {
    if (name == "add_generation_prompt") {
      request.add_generation_prompt = value.get<bool>();
    } else if (name == "continue_final_message") {
      request.continue_final_message = true;
      if (value.is_string()) request.continue_field = value.get<std::string>();
    } else if (name == "tools") {
      request.tools = value;
    } else if (name == "documents") {
      request.documents = value;
    } else {
      request.variables[name] = value;
    }
  }
  return request;
}

void expect_as_in(const Json& test, const Result<std::string>& prompt) {
  if (test.contains("error")) {
    EXPECT_FALSE(prompt.has_value())
        << "gave: " << *prompt << "\nthe reference refuses: " << test["error"];
  } else if (prompt) {
    EXPECT_EQ(*prompt, test.at("text").get<std::string>());
  } else {
    ADD_FAILURE() << "refused: " << prompt.error().message;
  }
}

TEST(ChatTemplate, EqualsApplyChatTemplate) {
  const Json file = testing::read_fixture("chat_cases.json");
  const SpecialTokens tokens = tokens_of(file["special_tokens"]);
  ASSERT_GE(file["cases"].size(), 40u);
  for (const Json& test : file["cases"]) {
    SCOPED_TRACE(test["name"].get<std::string>());
    const auto chat = ChatTemplate::parse(test["template"].get<std::string>(), "case", tokens);
    ASSERT_TRUE(chat.has_value()) << chat.error().message;
    expect_as_in(test, chat->render(request_of(test)));
  }
}

TEST(ChatTemplate, GoldenCheckpointsTemplate) {
  const auto chat =
      ChatTemplate::from_folder(std::string(MILLRACE_SOURCE_DIR) + "/tests/data/golden/dense_f32");
  ASSERT_TRUE(chat.has_value()) << chat.error().message;
  const Json file = testing::read_fixture("chat_golden.json");
  ASSERT_GE(file["cases"].size(), 50u);
  for (const Json& test : file["cases"]) {
    SCOPED_TRACE(test["name"].get<std::string>());
    expect_as_in(test, chat->render(request_of(test)));
  }
}

TEST(ChatTemplate, ArgumentsAsJsonTextBecomeObjects) {
  const auto chat = ChatTemplate::parse(
      "{% for c in messages[0].tool_calls %}{{ c.function.arguments is mapping }}"
      "{{ c.function.arguments | string }};{% endfor %}",
      "case");
  ChatRequest request;
  const auto call = [](const char* text) {
    return Json{{"type", "function"}, {"function", {{"name", "f"}, {"arguments", text}}}};
  };
  request.messages = Json::array(
      {{{"role", "assistant"},
        {"tool_calls", {call(R"({"b": 1, "a": null})"), call("[1]"), call("{oops"), call("")}}}});
  EXPECT_EQ(*chat->render(request), "False{\"b\": 1, \"a\": null};False[1];False{oops;False;")
      << "as apply_chat_template has it";
  request.parse_arguments = true;
  EXPECT_EQ(*chat->render(request), "True{'b': 1, 'a': None};False[1];False{oops;False;");
}

TEST(ChatTemplate, RequestsThatMakeNoSense) {
  const auto chat = ChatTemplate::parse("x", "case");
  const auto error_of = [&](const ChatRequest& request) {
    const auto prompt = chat->render(request);
    return prompt ? std::string("none") : prompt.error().message;
  };
  ChatRequest request;
  request.messages = "Hi";
  EXPECT_THAT(error_of(request), HasSubstr("messages: found string, expected a list"));
  request.messages = Json::array();
  EXPECT_THAT(error_of(request), HasSubstr("empty"));
  request.messages = Json::array({Json::array()});
  EXPECT_THAT(error_of(request), HasSubstr("messages[0]: found array, expected an object"));
  request.messages = Json::array({{{"role", "user"}}});
  EXPECT_EQ(error_of(request), "none");
  request.tools = "f";
  EXPECT_THAT(error_of(request), HasSubstr("tools"));
  request.tools = nullptr;
  request.variables = Json::array();
  EXPECT_THAT(error_of(request), HasSubstr("variables"));
  request.variables = {{"messages", 1}};
  EXPECT_THAT(error_of(request), HasSubstr("'messages' is a field of the request"));
  request.variables = nullptr;
  EXPECT_EQ(error_of(request), "none");
  request.messages[0]["content"] = "\xff";
  EXPECT_THAT(error_of(request), HasSubstr("UTF-8"));
}

TEST(ChatTemplate, ErrorsNameTheTemplateAndTheLine) {
  const auto broken = ChatTemplate::parse("a\nb {% if x %}\nc", "model/chat_template.jinja");
  ASSERT_FALSE(broken.has_value());
  EXPECT_EQ(broken.error().code, ErrorCode::Corrupt);
  EXPECT_EQ(
      broken.error().message,
      "model/chat_template.jinja: line 3: the template ends where {% elif %} or {% else %} or "
      "{% endif %} is missing");
  const auto refuses =
      ChatTemplate::parse("{% if true %}\n{{ raise_exception('no\nway') }}{% endif %}", "t");
  ChatRequest request;
  request.messages = Json::array({{{"role", "user"}}});
  const auto prompt = refuses->render(request);
  ASSERT_FALSE(prompt.has_value());
  EXPECT_EQ(prompt.error().code, ErrorCode::InvalidArgument);
  EXPECT_EQ(prompt.error().message, "t: line 2: no way");
  const auto other = ChatTemplate::parse("{% include 'x' %}", "t");
  ASSERT_FALSE(other.has_value());
  EXPECT_EQ(other.error().code, ErrorCode::Unsupported);
}

TEST(ChatTemplate, TimeIsTheRequestsOrNow) {
  const auto chat = ChatTemplate::parse("{{ strftime_now('%Y-%m-%d') }}", "t");
  ChatRequest request;
  request.messages = Json::array({{{"role", "user"}}});
  request.now = testing::local_time(1999, 12, 31, 23, 59, 59);
  EXPECT_EQ(*chat->render(request), "1999-12-31");
  request.now.reset();
  EXPECT_GT(*chat->render(request), "2024-01-01");
}

TEST(ChatTemplate, OpensThinking) {
  EXPECT_TRUE(opens_thinking("<|im_start|>assistant\n<think>\n"));
  EXPECT_TRUE(opens_thinking("<think>a</think>b<|im_end|>\n<think>so far"));
  EXPECT_FALSE(opens_thinking("<think>\n\n</think>\n\n"));
  EXPECT_FALSE(opens_thinking("<|im_start|>assistant\n"));
  EXPECT_FALSE(opens_thinking("What is <think>?<|im_end|>\n<|im_start|>assistant\n"));
  EXPECT_TRUE(opens_thinking("What is <think>?<|im_end|>\n", ""));
}

// A folder that is gone when the test ends.
class Folder {
 public:
  Folder() {
    char name[] = "/tmp/millrace-chat-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << text;
  }
  std::string path() const { return path_.string(); }
  // What the folder's template makes of a request without and with tools.
  std::string renders(bool with_tools = false) const {
    const auto chat = ChatTemplate::from_folder(path());
    if (!chat) return "error: " + chat.error().message;
    ChatRequest request;
    request.messages = Json::array({{{"role", "user"}}});
    if (with_tools) request.tools = Json::array();
    const auto prompt = chat->render(request);
    return prompt ? *prompt : "error: " + prompt.error().message;
  }

 private:
  std::filesystem::path path_;
};

TEST(ChatTemplateFolder, FileGoesBeforeConfig) {
  const Folder folder;
  EXPECT_THAT(folder.renders(), HasSubstr("has no chat template"));
  folder.write("tokenizer_config.json",
               R"({"chat_template": "config {{ bos_token }}", "bos_token": {"content": "<s>"},
                   "add_bos_token": true, "image_token": "<i>", "eos_token": null})");
  EXPECT_EQ(folder.renders(), "config <s>");
  folder.write("chat_template.jinja",
               "file {{ bos_token }}{{ image_token }}{{ eos_token }}|{{ add_bos_token }}");
  EXPECT_EQ(folder.renders(), "file <s><i>|");
}

TEST(ChatTemplateFolder, NamedTemplates) {
  const Folder folder;
  folder.write("tokenizer_config.json", R"({"chat_template": [
      {"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"}]})");
  EXPECT_EQ(folder.renders(false), "plain");
  EXPECT_EQ(folder.renders(true), "tools");
  folder.write("chat_template.jinja", "file");
  folder.write("additional_chat_templates/tool_use.jinja", "file tools");
  EXPECT_EQ(folder.renders(false), "file");
  EXPECT_EQ(folder.renders(true), "file tools");
}

TEST(ChatTemplateFolder, HostileConfigs) {
  const Folder folder;
  for (const char* config :
       {"{", "[]", R"({"chat_template": 5})", R"({"chat_template": [5]})",
        R"({"chat_template": [{"name": "a"}]})",
        R"({"chat_template": [{"name": "a", "template": "x"}]})", R"({"chat_template": "{{"})"}) {
    folder.write("tokenizer_config.json", config);
    EXPECT_THAT(folder.renders(), HasSubstr("error: ")) << config;
  }
  folder.write("chat_template.jinja", std::string(2u << 20, 'x'));
  EXPECT_THAT(folder.renders(), HasSubstr("the limit is"));
  folder.write("chat_template.jinja", "\xc3");
  EXPECT_THAT(folder.renders(), HasSubstr("UTF-8"));
}

TEST(ChatTemplate, ThreadsShareOne) {
  const Json file = testing::read_fixture("jinja_cases.json");
  std::string source;
  for (const Json& group : file["groups"])
    if (group["name"] == "era LFM2") source = group["cases"][1]["template"].get<std::string>();
  ASSERT_FALSE(source.empty());
  const auto chat = ChatTemplate::parse(source, "shared");
  ASSERT_TRUE(chat.has_value());
  const auto prompt_for = [&](int thread) {
    ChatRequest request;
    request.messages = Json::array({{{"role", "user"}, {"content", std::to_string(thread)}},
                                    {{"role", "assistant"}, {"content", "<think>x</think> y"}},
                                    {{"role", "user"}, {"content", "again"}}});
    request.now = kNow;
    return *chat->render(request);
  };
  std::vector<std::thread> threads;
  std::vector<int> wrong(8, 0);
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      const std::string expected = prompt_for(t);
      for (int i = 0; i < 200; ++i) wrong[static_cast<std::size_t>(t)] += prompt_for(t) != expected;
      wrong[static_cast<std::size_t>(t)] += expected.find(std::to_string(t)) == std::string::npos;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(wrong, ::testing::Each(0));
}

}  // namespace
}  // namespace millrace
