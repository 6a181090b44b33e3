// Statistics, arrivals, events, answers, goals: what figures are made of.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/json.h"
#include "loadgen/answer.h"
#include "loadgen/arrivals.h"
#include "loadgen/random.h"
#include "loadgen/report.h"
#include "loadgen/sse.h"
#include "loadgen/stats.h"
#include "loadgen/svg_plot.h"
#include "loadgen/url.h"

namespace millrace::loadgen {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Stats, QuantilesLieBetweenNeighbours) {
  const std::vector<double> values = {1, 2, 3, 4};
  EXPECT_DOUBLE_EQ(quantile(values, 0), 1);
  EXPECT_DOUBLE_EQ(quantile(values, 1), 4);
  EXPECT_DOUBLE_EQ(quantile(values, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(quantile(values, 0.9), 3.7);  // numpy.percentile([1, 2, 3, 4], 90)
  EXPECT_DOUBLE_EQ(quantile({}, 0.5), 0);
  EXPECT_DOUBLE_EQ(quantile(std::vector<double>{7}, 0.99), 7);
}

TEST(Stats, SummaryOfUnsortedValues) {
  const Summary s = summarize({4, 1, 3, 2});
  EXPECT_EQ(s.count, 4);
  EXPECT_DOUBLE_EQ(s.mean, 2.5);
  EXPECT_DOUBLE_EQ(s.deviation, std::sqrt(1.25));
  EXPECT_DOUBLE_EQ(s.min, 1);
  EXPECT_DOUBLE_EQ(s.max, 4);
  EXPECT_EQ(summarize({}).count, 0);
}

TEST(Random, IsTheSameEverywhere) {
  Random random(0);  // SplitMix64's first numbers for seed 0
  EXPECT_EQ(random.next(), 0xe220a8397b1dcdafu);
  EXPECT_EQ(random.next(), 0x6e789e6aa1b965f4u);
  double sum = 0;
  for (int i = 0; i < 100'000; ++i) sum += random.exponential();
  EXPECT_NEAR(sum / 100'000, 1, 0.02);
}

TEST(Arrivals, PoissonHasItsRateAndItsSpread) {
  const Load load{.kind = Load::Kind::Poisson, .rate = 50};
  const auto times = arrivals(load, 20'000, 3);
  EXPECT_TRUE(std::is_sorted(times.begin(), times.end()));
  EXPECT_NEAR(times.back(), 400, 12);
  std::vector<double> gaps;
  for (std::size_t i = 1; i < times.size(); ++i) gaps.push_back(times[i] - times[i - 1]);
  const Summary s = summarize(gaps);
  EXPECT_NEAR(s.deviation / s.mean, 1, 0.03);  // as of an exponential distribution
  EXPECT_EQ(times, arrivals(load, 20'000, 3));
  EXPECT_NE(times, arrivals(load, 20'000, 4));
}

TEST(Arrivals, RampGrowsEvenly) {
  const Load load{.kind = Load::Kind::Ramp, .rate = 10, .end_rate = 90};
  const auto times = arrivals(load, 50'000, 1);
  EXPECT_TRUE(std::is_sorted(times.begin(), times.end()));
  const double whole = 1000;  // 50,000 at 50 a second, the mean
  EXPECT_NEAR(times.back(), whole, 20);
  const auto within = [&](double from, double to) {
    return std::count_if(times.begin(), times.end(), [&](double t) { return t >= from && t < to; });
  };
  EXPECT_NEAR(static_cast<double>(within(0, 100)), 1400, 120);      // 10 to 18 a second
  EXPECT_NEAR(static_cast<double>(within(800, 900)), 7800, 300);    // 74 to 82 a second
  EXPECT_THAT(arrivals({.users = 4}, 3, 1), ElementsAre(0, 0, 0));  // a closed loop waits for none
}

std::vector<std::string> events(const std::vector<std::string>& pieces) {
  SseParser parser;
  std::vector<std::string> found;
  for (const std::string& piece : pieces)
    parser.push(piece, [&](std::string_view data) { found.emplace_back(data); });
  return found;
}

TEST(Sse, ReadsEventsHoweverTheyAreCut) {
  const std::string text =
      ": a comment\n\nevent: delta\ndata: one\nid: 7\n\ndata:two\r\n\r\ndata: a\rdata: "
      "b\r\rdata\n\n";
  const auto whole = events({text});
  EXPECT_THAT(whole, ElementsAre("one", "two", "a\nb", ""));
  for (std::size_t cut = 0; cut <= text.size(); ++cut)
    EXPECT_EQ(events({text.substr(0, cut), text.substr(cut)}), whole) << cut;
  std::vector<std::string> bytes;
  for (const char c : text) bytes.emplace_back(1, c);
  EXPECT_EQ(events(bytes), whole);
  EXPECT_THAT(events({"data: not ended\n"}), ElementsAre());
  EXPECT_THAT(events({"database: 1\n\n"}), ElementsAre());
}

TEST(Answer, IsPutTogetherFromChatDeltas) {
  StreamedAnswer answer;
  const auto now = Clock::now();
  answer.take(R"({"choices":[{"delta":{"role":"assistant","content":""}}]})", now);
  EXPECT_TRUE(answer.pieces.empty()) << "a role is no token";
  answer.take(R"({"choices":[{"delta":{"reasoning_content":"Hm."}}]})", now);
  answer.take(R"({"choices":[{"delta":{"content":"Hel"}}],"usage":null})", now);
  answer.take(R"({"choices":[{"delta":{"content":"lo"}}]})", now);
  answer.take(
      R"({"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c1","function":{"name":"f","arguments":"{\"a\""}}]}}]})",
      now);
  answer.take(
      R"({"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":":1}"}}]}}]})",
      now);
  EXPECT_FALSE(answer.finished);
  answer.take(R"({"choices":[{"delta":{},"finish_reason":"tool_calls"}]})", now);
  answer.take(
      R"({"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":4}}})",
      now);
  answer.take("[DONE]", now);
  EXPECT_EQ(answer.pieces.size(), 5u);
  EXPECT_TRUE(answer.finished && answer.done && answer.error.empty());
  EXPECT_EQ(answer.prompt_tokens, 9);
  EXPECT_EQ(answer.cached_tokens, 4);
  EXPECT_EQ(answer.completion_tokens, 5);
  const Json message = answer.message();
  EXPECT_EQ(message["content"], "Hello");
  EXPECT_EQ(message["tool_calls"][0]["id"], "c1");
  EXPECT_EQ(message["tool_calls"][0]["function"]["arguments"], R"({"a":1})");
}

TEST(Answer, SaysWhatWentWrong) {
  StreamedAnswer failed;
  failed.take(R"({"error":{"message":"no room"}})", Clock::now());
  EXPECT_EQ(failed.error, "no room");
  StreamedAnswer garbled;
  garbled.take("{", Clock::now());
  EXPECT_THAT(garbled.error, HasSubstr("not valid JSON"));
}

TEST(Url, IsTakenApart) {
  const auto check_url = [](std::string_view text, std::string_view wanted) {
    const auto url = Url::parse(text);
    ASSERT_TRUE(url) << url.error().message;
    EXPECT_EQ(url->text(), wanted);
  };
  check_url("http://127.0.0.1:8000", "http://127.0.0.1:8000");
  check_url("localhost:8000/v1/", "http://localhost:8000");
  check_url("https://api.example.org/v1", "https://api.example.org");
  check_url("http://[::1]:80/prefix/v1", "http://[::1]/prefix");
  for (const char* bad :
       {"", "ftp://x", "http://", "http://u@h", "http://h:x", "http://[::1", "h:123456"})
    EXPECT_FALSE(Url::parse(bad)) << bad;
}

RequestRecord record(std::string session, double start, double first, double end,
                     std::int64_t tokens) {
  RequestRecord r{.session = std::move(session), .start_s = start, .first_s = first, .end_s = end};
  r.prompt_tokens = 10;
  r.cached_tokens = 5;
  r.completion_tokens = tokens;
  return r;
}

TEST(Report, CountsWhatKeepsTheGoal) {
  StageRecord stage{.load = {.users = 2}, .duration_s = 2};
  stage.requests = {record("a", 0, 0.1, 1.1, 11), record("b", 0, 0.5, 1.5, 11),
                    record("c", 0, 0.1, 2, 3)};
  stage.requests.push_back({.session = "d", .error = "gone"});
  const Goal goal = *Goal::parse({"ttft:200", "tpot:100"});
  const StageSummary s = summarize(stage, goal);
  EXPECT_EQ(s.completed, 3);
  EXPECT_EQ(s.failed, 1);
  EXPECT_EQ(s.kept, 1);  // b's first token is late, c's others are slow
  EXPECT_EQ(s.output_tokens, 25);
  EXPECT_DOUBLE_EQ(s.per_second(s.output_tokens), 12.5);
  EXPECT_DOUBLE_EQ(s.hit_rate(), 0.5);
  EXPECT_DOUBLE_EQ(s.ttft_s.max, 0.5);
  EXPECT_DOUBLE_EQ(s.tpot_s.min, 0.1);
  for (const char* bad : {"ttft", "ttft:", "ttft:x", "ttft:-1", "speed:3"})
    EXPECT_FALSE(Goal::parse({bad})) << bad;
}

TEST(Report, PageNeedsNothingElse) {
  Report report{.url = "http://x", .model = "<m>", .workload = "w"};
  for (const std::int64_t users : {1, 4}) {
    StageRecord stage{.load = {.users = users}, .duration_s = 2, .complete = true};
    stage.requests = {record("a", 0, 0.1, 1.1, 11), record("b", 0, 0.5, 1.5, 11)};
    stage.requests[0].gaps_s = {0.1, 0.2};
    stage.samples = {
        {.at_s = 0, .resident_bytes = 1e8, .kv_usage = 0.1, .running = 1, .waiting = 0},
        {.at_s = 1, .resident_bytes = 2e8, .kv_usage = 0.2, .running = 1, .waiting = 0}};
    report.stages.push_back(stage);
  }
  const std::string page = as_html(report);
  EXPECT_THAT(page, HasSubstr("&lt;m&gt;"));
  EXPECT_THAT(page, HasSubstr("prefers-color-scheme: dark"));
  EXPECT_THAT(page, HasSubstr("Throughput"));
  for (const char* outside : {"<script", "src=", "href=", "url(", "@import", "nan", "inf"})
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  EXPECT_EQ(as_json(report)["stages"][1]["completed"], 2);
  EXPECT_THAT(as_table(report), HasSubstr("concurrency 4"));
}

TEST(Plot, SurvivesWhatThereIs) {
  EXPECT_EQ(as_svg({.title = "nothing"}), "");
  for (const bool log : {false, true}) {
    const std::string one = as_svg({.title = "one", .series = {{"s", {{3, 0}}}}, .log_x = log});
    EXPECT_EQ(one.find("nan"), std::string::npos);
    EXPECT_THAT(one, HasSubstr("polyline"));
  }
  const Series s = distribution("d", {3, 1, 2});
  EXPECT_THAT(s.points,
              ElementsAre(std::pair(1.0, 1.0 / 3), std::pair(2.0, 2.0 / 3), std::pair(3.0, 1.0)));
}

}  // namespace
}  // namespace millrace::loadgen
