// What the server says beside its APIs: the playground's files, lines of the log.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "base/json.h"
#include "base/mapped_file.h"
#include "server/playground.h"
#include "server/request_log.h"

namespace millrace::server {
namespace {

using ::testing::HasSubstr;

std::string header(const HttpReply& reply, std::string_view name) {
  for (const auto& [key, value] : reply.headers)
    if (key == name) return value;
  return "";
}

TEST(Playground, IsInTheBinaryByteForByte) {
  const std::string folder = std::string(MILLRACE_SOURCE_DIR) + "/src/server/playground/";
  for (const auto& [path, name] :
       {std::pair("/", "index.html"), std::pair("/playground.css", "playground.css"),
        std::pair("/playground.js", "playground.js")}) {
    const auto reply = playground_reply(path);
    ASSERT_TRUE(reply) << path;
    const auto file = MappedFile::open(folder + name);
    ASSERT_TRUE(file);
    EXPECT_EQ(reply->body, file->text());
    EXPECT_THAT(header(*reply, "Content-Security-Policy"), HasSubstr("default-src 'none'"));
    EXPECT_EQ(header(*reply, "Content-Security-Policy").find("unsafe"), std::string::npos);
  }
  for (const char* path : {"", "index", "/index.htm", "/../x", "//", "/playground.css/"})
    EXPECT_FALSE(playground_reply(path)) << path;
}

TEST(Playground, AsksForNothingFromOutside) {
  const std::string page = playground_reply("/")->body;
  for (const char* outside : {"http:", "https:", "//", "<style", "style=", "onclick"})
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  EXPECT_EQ(playground_reply("/playground.js")->body.find("innerHTML"), std::string::npos);
  EXPECT_EQ(playground_reply("/playground.css")->body.find("url("), std::string::npos);
}

TEST(RequestLog, LinesAreWholeAndOneEach) {
  HttpRequest request{.method = "POST", .path = "/v1/\"x\"\n\xff", .body = "", .id = "req-1"};
  RequestFacts facts;
  std::string line = request_line(LogFormat::Json, request, facts, 404, 0.25, "T");
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  auto json = parse_json(line, "line");
  ASSERT_TRUE(json) << json.error().message;
  EXPECT_EQ((*json)["request_id"], "req-1");
  EXPECT_EQ((*json)["status"], 404);
  EXPECT_FALSE(json->contains("prompt_tokens"));

  facts = {.stream = true,
           .prompt_tokens = 7,
           .cached_tokens = 3,
           .completion_tokens = 9,
           .finish_reason = "stop"};
  json = parse_json(request_line(LogFormat::Json, request, facts, 500, 0.25, "T"), "line");
  ASSERT_TRUE(json);
  EXPECT_EQ((*json)["cached_tokens"], 3);
  EXPECT_EQ((*json)["level"], "error");

  line = request_line(LogFormat::Text, request, facts, 200, 0.25, "T");
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  EXPECT_THAT(line, HasSubstr("req-1 POST"));
  EXPECT_THAT(line, HasSubstr("7 in (3 cached), 9 out"));
  EXPECT_TRUE(parse_json(event_line(LogFormat::Json, "a \"b\"", "T"), "line"));
  EXPECT_EQ(event_line(LogFormat::Text, "ended", "T"), "millrace: ended\n");
}

TEST(RequestLog, TimesAreUtc) {
  using namespace std::chrono;
  EXPECT_EQ(utc_time(system_clock::time_point(milliseconds(1'700'000'000'042))),
            "2023-11-14T22:13:20.042Z");
}

}  // namespace
}  // namespace millrace::server
