// Servers and networks that fail or lie. After each error the snapshot must not exist.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/hub/fake_hub.h"

namespace millrace::hub::test {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kWeights = "model.safetensors";

class Faults : public testing::Test {
 protected:
  Faults() { hub_.add_model(400'000); }

  Result<fs::path> pull_model(const PullOptions& options = {.connections = 4,
                                                            .piece_bytes = 100'000}) {
    HubOptions hub_options = hub_.options(cache_.path());
    hub_options.token = token_;
    return pull(*parse_model_ref(kRepo), hub_options, options);
  }

  void expect_success() {
    const auto folder = pull_model();
    ASSERT_TRUE(folder.has_value()) << folder.error().message;
    EXPECT_EQ(read_file(*folder / kWeights), hub_.content(kWeights));
  }

  // The error's message; the snapshot must not have been made.
  std::string expect_error(ErrorCode code, const PullOptions& options = {.connections = 4,
                                                                         .piece_bytes = 100'000}) {
    const auto result = pull_model(options);
    EXPECT_FALSE(result.has_value());
    if (result) return "";
    EXPECT_EQ(result.error().code, code) << result.error().message;
    EXPECT_EQ(result.error().message.find('\n'), std::string::npos);
    EXPECT_FALSE(fs::exists(cache_.path() / "models--org--model/snapshots" / kCommit));
    // A blob is there only with its true content: one file's fault does not spoil another's.
    const fs::path blob = cache_.path() / "models--org--model/blobs" / hub_.etag(kWeights);
    if (fs::exists(blob)) {
      EXPECT_EQ(read_file(blob), hub_.content(kWeights));
    }
    EXPECT_EQ(find_cached(*parse_model_ref(kRepo), hub_.options(cache_.path())), std::nullopt);
    return result.error().message;
  }

  FakeHub hub_;
  TempFolder cache_;
  std::string token_;
};

TEST_F(Faults, ConnectionsDroppedAtManyPoints) {
  std::size_t point = 0;
  hub_.fault(
      kWeights,
      [&point](const Request&, Reply& reply) {
        // From "before the first byte" to "before the last".
        const std::size_t points[] = {0, 1, 999, 16'384, 50'000, 65'537, 99'999};
        reply.drop_after = points[point++ % 7];
      },
      21);
  expect_success();
  // Each byte came about once: a dropped connection goes on where it was.
  EXPECT_LT(hub_.server().body_bytes_sent(), 600'000u);
}

TEST_F(Faults, GivesUpOnAServerThatDropsEveryConnection) {
  hub_.fault(
      kWeights, [](const Request&, Reply& reply) { reply.drop_after = 0; }, 1000);
  EXPECT_THAT(expect_error(ErrorCode::Unavailable),
              AllOf(HasSubstr("org/model: model.safetensors"), HasSubstr("4 attempts")));
}

TEST_F(Faults, StallsAreDroppedAndTriedAgain) {
  hub_.fault(kWeights, [](const Request&, Reply& reply) { reply.stall_after = 5'000; });
  expect_success();
}

TEST_F(Faults, ShortBodiesWithoutALengthAreCompleted) {
  hub_.fault(
      kWeights,
      [](const Request&, Reply& reply) {
        reply.chunked = true;
        reply.body.resize(reply.body.size() / 2);
      },
      3);
  expect_success();
}

TEST_F(Faults, LongBody) {
  hub_.fault(kWeights, [](const Request&, Reply& reply) {
    reply.chunked = true;
    reply.body += "more";
  });
  EXPECT_THAT(expect_error(ErrorCode::Corrupt), HasSubstr("body longer than the 100000 bytes"));
}

TEST_F(Faults, LyingContentLength) {
  for (const char* length : {"100004", "99996", "0", "-1", "x"}) {
    hub_.fault(
        kWeights,
        [length](const Request&, Reply& reply) {
          reply.headers.push_back({"Content-Length", length});
          reply.drop_after = reply.body.size();
        },
        100);
    const auto result = pull_model();
    ASSERT_FALSE(result.has_value()) << length;
    EXPECT_FALSE(fs::exists(cache_.path() / "models--org--model/snapshots" / kCommit));
    fs::remove_all(cache_.path() / "models--org--model");
    hub_.clear_faults();
  }
}

TEST_F(Faults, LyingContentRange) {
  for (const char* range : {"bytes 0-99999/400001", "bytes 1-100000/400000", "bytes 0-99998/400000",
                            "bytes 0-99999/*", "nonsense"}) {
    hub_.fault(
        kWeights,
        [range](const Request&, Reply& reply) {
          for (auto& [name, value] : reply.headers)
            if (name == "Content-Range") value = range;
        },
        4);
    EXPECT_THAT(expect_error(ErrorCode::Corrupt), HasSubstr("Content-Range: found")) << range;
    hub_.clear_faults();
  }
}

TEST_F(Faults, ServerThatIgnoresRangesIsReadWhole) {
  const std::string whole = hub_.content(kWeights);
  hub_.fault(
      kWeights,
      [whole](const Request&, Reply& reply) {
        reply.status = 200;
        reply.headers.clear();
        reply.body = whole;
      },
      100);
  expect_success();
}

TEST_F(Faults, ServerThatIgnoresRangesAndDropsStartsAnew) {
  const std::string whole = hub_.content(kWeights);
  int count = 0;
  hub_.fault(
      kWeights,
      [whole, &count](const Request& request, Reply& reply) {
        reply.status = 200;
        reply.headers.clear();
        reply.body = whole;
        if (request.header("range").empty() && ++count < 3) reply.drop_after = 300'000;
      },
      100);
  expect_success();
}

TEST_F(Faults, WrongContentOfTheRightLength) {
  hub_.fault(
      kWeights, [](const Request&, Reply& reply) { reply.body[17] ^= 1; }, 1);
  EXPECT_THAT(
      expect_error(ErrorCode::Corrupt),
      AllOf(HasSubstr("org/model: model.safetensors: SHA-256 is"), HasSubstr(hub_.etag(kWeights))));
  // Nothing of it is left to resume from.
  for (const auto& entry : fs::directory_iterator(cache_.path() / "models--org--model/blobs"))
    EXPECT_EQ(entry.path().filename().string().find(hub_.etag(kWeights)), std::string::npos);
  expect_success();
}

TEST_F(Faults, WrongContentOfASmallFile) {
  hub_.fault("config.json", [](const Request&, Reply& reply) { reply.body[0] = ' '; });
  EXPECT_THAT(expect_error(ErrorCode::Corrupt), HasSubstr("config.json: git hash is"));
}

TEST_F(Faults, HubHeadersThatContradictTheListing) {
  for (const auto& [name, value] : {std::pair{"X-Linked-Etag", "\"abc\""},
                                    {"X-Linked-Size", "3"},
                                    {"X-Repo-Commit", "fedcba"}}) {
    const std::pair<std::string, std::string> header{name, value};
    hub_.fault("config.json",
               [header](const Request&, Reply& reply) { reply.headers.push_back(header); });
    EXPECT_THAT(expect_error(ErrorCode::Corrupt), HasSubstr(name));
  }
}

TEST_F(Faults, RateLimitsAndServerErrorsThenSuccess) {
  int count = 0;
  hub_.fault(
      kWeights,
      [&count](const Request&, Reply& reply) {
        reply = {.status = (count++ % 2) == 0 ? 429 : 503, .body = std::string(5000, 'x')};
      },
      3);
  hub_.answer("/api/models", {.status = 502}, 2);
  expect_success();
}

TEST_F(Faults, RetryAfterIsObeyed) {
  hub_.answer("/api/models", {.status = 429, .headers = {{"Retry-After", "1"}}}, 1);
  const auto start = std::chrono::steady_clock::now();
  expect_success();
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(950));
  hub_.answer("/api/models", {.status = 429, .headers = {{"Retry-After", "86400"}}});
  const auto refused = pull_model();
  EXPECT_THAT(refused.error().message, AllOf(HasSubstr("86400 s"), HasSubstr("HF_TOKEN")));
}

TEST_F(Faults, ServerErrorsThatStay) {
  hub_.answer("/api/models", {.status = 500});
  EXPECT_THAT(expect_error(ErrorCode::Unavailable), HasSubstr("HTTP 500"));
}

TEST_F(Faults, RestrictedRepositoriesSayHowToGiveAToken) {
  hub_.answer("/api/models", {.status = 401, .headers = {{"X-Error-Code", "GatedRepo"}}});
  EXPECT_THAT(expect_error(ErrorCode::NotFound),
              AllOf(HasSubstr("HF_TOKEN"), HasSubstr("/org/model"), HasSubstr("restricted")));
  hub_.answer("/api/models", {.status = 401, .headers = {{"X-Error-Code", "RepoNotFound"}}});
  EXPECT_THAT(expect_error(ErrorCode::NotFound), HasSubstr("HF_TOKEN"));
  token_ = "hf_secret";
  hub_.answer("/api/models", {.status = 403, .headers = {{"X-Error-Code", "GatedRepo"}}});
  EXPECT_THAT(expect_error(ErrorCode::NotFound),
              AllOf(HasSubstr("accept the terms"), Not(HasSubstr("hf_secret"))));
  hub_.answer("/api/models", {.status = 401});
  EXPECT_THAT(expect_error(ErrorCode::NotFound),
              AllOf(HasSubstr("not valid"), Not(HasSubstr("hf_secret"))));
}

TEST_F(Faults, UnknownRepositoryOrRevision) {
  const HubOptions options = hub_.options(cache_.path());
  EXPECT_THAT(pull(*parse_model_ref("org/other"), options, {}).error().message,
              HasSubstr("org/other: no such repository"));
  const auto revision = pull(*parse_model_ref("org/model@v9"), options, {});
  EXPECT_THAT(revision.error().message, HasSubstr("org/model@v9: no such revision"));
  EXPECT_EQ(revision.error().code, ErrorCode::NotFound);
}

TEST_F(Faults, HostileNamesNeverReachTheDisk) {
  for (const char* name : {"../../../evil", "/tmp/evil", "a/../../evil", "evil\\u0000"}) {
    hub_.set_tree(std::string(R"([{"type":"file","path":")") + name + R"(","size":4,"oid":")" +
                  git_blob("evil") + "\"}]");
    EXPECT_THAT(expect_error(ErrorCode::Corrupt, {.include = {"*"}}), HasSubstr("lists a file"));
  }
}

TEST_F(Faults, HostileListings) {
  for (const char* body : {"", "null", "[[[[", "{\"error\":1}", "[{\"type\":\"file\"}]"}) {
    hub_.answer("/api/models/org/model/tree", {.body = body});
    EXPECT_THAT(expect_error(ErrorCode::Corrupt), HasSubstr("org/model")) << body;
  }
  hub_.answer("/api/models/org/model/revision", {.body = R"({"sha":"../../../../tmp/x"})"});
  EXPECT_THAT(expect_error(ErrorCode::Corrupt), HasSubstr("40 hex digits"));
}

TEST_F(Faults, EndlessRedirectsAndRedirectsToFiles) {
  hub_.answer("/org/model/resolve",
              {.status = 302, .headers = {{"Location", "/org/model/resolve/again"}}});
  EXPECT_THAT(expect_error(ErrorCode::Unavailable), HasSubstr("redirects"));
  hub_.answer("/org/model/resolve",
              {.status = 302, .headers = {{"Location", "file:///etc/passwd"}}});
  EXPECT_THAT(expect_error(ErrorCode::Unavailable), HasSubstr("redirects to"));
}

TEST_F(Faults, EndlessHeaders) {
  hub_.answer("/api/models", {.headers = {{"X-Long", std::string(90'000, 'x')}}});
  expect_error(ErrorCode::Corrupt);
}

TEST_F(Faults, NobodyListens) {
  HubOptions options = hub_.options(cache_.path());
  options.endpoint = "http://127.0.0.1:1";
  const auto result = pull(*parse_model_ref(kRepo), options, {});
  EXPECT_EQ(result.error().code, ErrorCode::Unavailable);
  EXPECT_THAT(result.error().message, HasSubstr("127.0.0.1:1"));
}

}  // namespace
}  // namespace millrace::hub::test
