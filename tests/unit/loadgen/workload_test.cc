// Workloads: the same by seed, the same from a file; record files that go on.
#include "loadgen/workload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "base/json.h"
#include "loadgen/records.h"

namespace millrace::loadgen {
namespace {

using ::testing::HasSubstr;

TEST(Workload, RandomPromptsHaveTheirLengths) {
  const RandomOptions options{
      .count = 50, .input = 100, .output = 20, .prefix = 7, .vocab = 1000, .seed = 5};
  const Workload workload = random_workload(options);
  ASSERT_EQ(workload.size(), 50u);
  for (const Session& session : workload) {
    ASSERT_EQ(session.turns.size(), 1u);
    EXPECT_EQ(session.turns[0].prompt.size(), 107u);
    EXPECT_EQ(session.turns[0].max_tokens, 20);
    EXPECT_TRUE(std::equal(session.turns[0].prompt.begin(), session.turns[0].prompt.begin() + 7,
                           workload[0].turns[0].prompt.begin()));
    for (const auto id : session.turns[0].prompt) EXPECT_TRUE(id >= 0 && id < 1000);
  }
  EXPECT_EQ(fingerprint(workload), fingerprint(random_workload(options)));
  RandomOptions other = options;
  other.seed = 6;
  EXPECT_NE(fingerprint(workload), fingerprint(random_workload(other)));
  other.range = 0.5;
  std::int64_t low = 1000, high = 0;
  for (const Session& session : random_workload(other)) {
    low = std::min<std::int64_t>(low, std::ssize(session.turns[0].prompt) - 7);
    high = std::max<std::int64_t>(high, std::ssize(session.turns[0].prompt) - 7);
  }
  EXPECT_GE(low, 50);
  EXPECT_LE(high, 150);
  EXPECT_LT(low, high);
}

TEST(Workload, AgentsShareBeginningsEditAndBranch) {
  const AgentOptions options{.count = 200, .turns = 10, .system_prompts = 3, .seed = 1};
  const Workload workload = agent_workload(options);
  std::set<std::string> systems;
  int edits = 0, branches = 0, results = 0, turns = 0;
  for (const Session& session : workload) {
    EXPECT_EQ(session.turns[0].messages[0]["role"], "system");
    systems.insert(session.turns[0].messages[0]["content"]);
    for (std::size_t i = 1; i < session.turns.size(); ++i, ++turns) {
      const Turn& turn = session.turns[i];
      EXPECT_LT(turn.from, static_cast<std::int64_t>(i));
      results += turn.messages[0]["role"] == "tool";
      if (turn.from == static_cast<std::int64_t>(i) - 1) continue;
      (turn.from < 0 || turn.messages.size() > 1 ? edits : branches) += 1;
    }
    for (const Turn& turn : session.turns) {
      EXPECT_LE(turn.max_tokens, options.output);
      EXPECT_GE(turn.max_tokens, options.output / 2);
    }
  }
  EXPECT_EQ(systems.size(), 3u);
  EXPECT_GT(results, turns / 3);
  EXPECT_GT(edits, 0);
  EXPECT_GT(branches, turns / 20);
}

TEST(Workload, IsTheSameFromAFile) {
  const AgentOptions agents{.count = 5, .turns = 6, .think_s = 0.5, .seed = 2};
  for (const Workload& workload :
       {agent_workload(agents), random_workload({.count = 3, .input = 9, .vocab = 50}),
        random_workload({.count = 3, .input = 9})}) {
    const std::string text = to_jsonl(workload);
    const auto again = parse_workload(text, "file");
    ASSERT_TRUE(again) << again.error().message;
    EXPECT_EQ(to_jsonl(*again), text);
    EXPECT_EQ(fingerprint(*again), fingerprint(workload));
  }
}

TEST(Workload, DamagedFilesAreNamed) {
  const auto error = [](const std::string& text) {
    const auto found = parse_workload(text, "w.jsonl");
    return found ? std::string("accepted") : found.error().message;
  };
  const std::string good = R"({"id":"a","turns":[{"text":"x","max_tokens":1}]})";
  EXPECT_EQ(error(good), "accepted");
  EXPECT_THAT(error(""), HasSubstr("holds no session"));
  EXPECT_THAT(error(good + "\n{"), HasSubstr("w.jsonl, line 2"));
  EXPECT_THAT(error(R"({"turns":[{"text":"x","max_tokens":1}]})"), HasSubstr("id: is missing"));
  EXPECT_THAT(error(R"({"id":"a","turns":[]})"), HasSubstr("turns: expected"));
  EXPECT_THAT(error(R"({"id":"a","turns":[{"text":"x"}]})"),
              HasSubstr("turn 0: max_tokens: is missing"));
  EXPECT_THAT(error(R"({"id":"a","turns":[{"text":"x","prompt":[1],"max_tokens":1}]})"),
              HasSubstr("expected one of"));
  EXPECT_THAT(error(R"({"id":"a","turns":[{"prompt":[1,-2],"max_tokens":1}]})"),
              HasSubstr("found -2"));
  EXPECT_THAT(error(R"({"id":"a","turns":[{"text":"x","from":0,"max_tokens":1}]})"),
              HasSubstr("from"));
  EXPECT_THAT(error(R"({"id":"a","turns":[{"messages":[{}],"max_tokens":1}]})"),
              HasSubstr("no role"));
  EXPECT_THAT(error(R"({"id":"a","body":3,"turns":[{"text":"x","max_tokens":1}]})"),
              HasSubstr("body: found integer"));
}

TEST(Records, GoOnWithWholeSessions) {
  const std::string path = testing::TempDir() + "/records.jsonl";
  std::filesystem::remove(path);
  Workload workload;
  for (const char* id : {"one", "two", "three"})
    workload.push_back({.id = id, .turns = {Turn{}, Turn{}}});
  const Load load{.users = 2};
  const Json header = {{"workload", "f"}};
  const auto record = [](const char* session, std::int64_t turn, double end) {
    RequestRecord r{
        .session = session, .turn = turn, .start_s = 0.25, .first_s = 0.5, .end_s = end};
    r.gaps_s = {0.001, 0.002};
    r.completion_tokens = 3;
    return r;
  };
  {
    auto file = RecordFile::open(path, header, true);
    ASSERT_TRUE(file);
    file->add(load, record("one", 0, 1));
    file->add(load, record("one", 1, 2));
    file->add(load, record("two", 0, 3));  // and was killed
    file->add(load, ServerSample{.at_s = 1, .resident_bytes = 5});
  }
  std::ofstream(path, std::ios::app) << R"({"stage": "concurr)";
  auto file = RecordFile::open(path, header, true);
  ASSERT_TRUE(file) << file.error().message;
  const StageRecord stage = file->take(load, workload);
  ASSERT_EQ(stage.requests.size(), 2u);
  EXPECT_EQ(stage.requests[1].turn, 1);
  EXPECT_EQ(stage.requests[1].gaps_s, (std::vector{0.001, 0.002}));
  EXPECT_EQ(stage.requests[1].completion_tokens, 3);
  EXPECT_DOUBLE_EQ(stage.duration_s, 3);
  EXPECT_EQ(stage.samples.size(), 1u);
  EXPECT_TRUE(file->take({.users = 3}, workload).requests.empty()) << "another stage";

  const auto other = RecordFile::open(path, {{"workload", "g"}}, true);
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().message, HasSubstr("another benchmark"));
}

}  // namespace
}  // namespace millrace::loadgen
