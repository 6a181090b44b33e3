// What an interrupted pull leaves, and what the next one makes of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <chrono>
#include <thread>

#include "hub/byte_ranges.h"
#include "hub/cache_layout.h"
#include "hub/partial_file.h"
#include "tests/unit/hub/fake_hub.h"

namespace millrace::hub::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr const char* kWeights = "model.safetensors";
constexpr std::size_t kBytes = 2'000'000;

class Resume : public testing::Test {
 protected:
  Resume() { hub_.add_model(kBytes); }

  Result<fs::path> pull_model(const PullOptions& options = {}) {
    return pull(*parse_model_ref(kRepo), hub_.options(cache_.path()), options);
  }
  fs::path partial() const { return layout_.partial(hub_.etag(kWeights)); }
  fs::path ranges() const { return layout_.partial_ranges(hub_.etag(kWeights)); }

  void expect_complete(const Result<fs::path>& folder) {
    ASSERT_TRUE(folder.has_value()) << folder.error().message;
    EXPECT_EQ(read_file(*folder / kWeights), hub_.content(kWeights));
    EXPECT_FALSE(fs::exists(partial()));
    EXPECT_FALSE(fs::exists(ranges()));
  }

  // Until something of the file has come.
  void await_bytes() const {
    struct stat file = {};
    for (int i = 0; i < 10'000 && (::stat(partial().c_str(), &file) != 0 || file.st_blocks == 0);
         ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  // The first `bytes` bytes as an interrupted pull leaves them.
  void leave_partial(std::string content, const std::string& list) {
    ASSERT_TRUE(layout_.create().has_value());
    write_file(partial(), content);
    write_file(ranges(), list);
  }
  std::string list_of(std::uint64_t begin, std::uint64_t end) const {
    ByteRanges done;
    done.add({begin, end});
    return done.to_text(kBytes);
  }

  FakeHub hub_;
  TempFolder cache_;
  RepoCache layout_{cache_.path(), kRepo};
};

TEST_F(Resume, CancelledPullGoesOnWhereItWas) {
  std::atomic<bool> cancelled = false;
  // One range is served, the others stop half way, and the user gives up.
  hub_.fault(kWeights, [](const Request&, Reply&) {});
  hub_.fault(
      kWeights,
      [&](const Request&, Reply& reply) {
        reply.stall_after = reply.body.size() / 2;
        await_bytes();
        cancelled = true;
      },
      3);
  const PullOptions options{.connections = 4, .piece_bytes = 500'000, .cancelled = &cancelled};
  const auto stopped = pull_model(options);
  ASSERT_FALSE(stopped.has_value());
  EXPECT_EQ(stopped.error().code, ErrorCode::Cancelled);
  EXPECT_THAT(stopped.error().message, HasSubstr("goes on from here"));
  EXPECT_FALSE(fs::exists(cache_.path() / "models--org--model/snapshots" / kCommit));
  ASSERT_TRUE(fs::exists(partial()));
  const auto done = ByteRanges::from_text(read_file(ranges()), kBytes);
  ASSERT_TRUE(done.has_value());
  ASSERT_GT(done->total(), 0u);

  cancelled = false;
  hub_.clear_faults();
  hub_.server().forget();
  expect_complete(pull_model({.connections = 4, .piece_bytes = 300'000, .cancelled = &cancelled}));
  std::size_t asked = 0;
  for (const Request& request : hub_.server().requests()) {
    std::size_t first = 0;
    std::size_t last = 0;
    if (std::sscanf(request.header("range").c_str(), "bytes=%zu-%zu", &first, &last) == 2)
      asked += last - first + 1;
  }
  EXPECT_EQ(asked, kBytes - done->total());
}

TEST_F(Resume, CancelledBeforeItBegins) {
  const std::atomic<bool> cancelled = true;
  EXPECT_EQ(pull_model({.cancelled = &cancelled}).error().code, ErrorCode::Cancelled);
  EXPECT_TRUE(hub_.server().requests().empty());
}

TEST_F(Resume, CancelEndsABackoff) {
  hub_.answer("/api/models", {.status = 429, .headers = {{"Retry-After", "60"}}});
  std::atomic<bool> cancelled = false;
  std::thread user([&] {
    while (hub_.server().requests().empty()) std::this_thread::yield();
    cancelled = true;
  });
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(pull_model({.cancelled = &cancelled}).error().code, ErrorCode::Cancelled);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  user.join();
}

TEST_F(Resume, TakesWhatTheListPromises) {
  leave_partial(hub_.content(kWeights).substr(0, 1'500'000), list_of(0, 1'500'000));
  expect_complete(pull_model());
  EXPECT_LT(hub_.server().body_bytes_sent(), 510'000u);
}

TEST_F(Resume, VerifiesWhatIsCompleteWithoutAsking) {
  leave_partial(hub_.content(kWeights), list_of(0, kBytes));
  expect_complete(pull_model());
  EXPECT_LT(hub_.server().body_bytes_sent(), 10'000u);
}

TEST_F(Resume, DamagedBytesAreFetchedAgain) {
  std::string content = hub_.content(kWeights).substr(0, 1'500'000);
  content[1000] ^= 1;
  leave_partial(content, list_of(0, 1'500'000));
  expect_complete(pull_model());
  EXPECT_GT(hub_.server().body_bytes_sent(), kBytes);
}

TEST_F(Resume, DamagedListsCountAsNone) {
  for (const std::string& list :
       {std::string("garbage"), std::string(), std::string(1000, '\0'), list_of(0, kBytes),
        std::string(R"({"format":1,"size":2000000,"done":[[0,99999999999]]})")}) {
    TempFolder other;
    const RepoCache layout(other.path(), kRepo);
    ASSERT_TRUE(layout.create().has_value());
    write_file(layout.partial(hub_.etag(kWeights)), std::string(1000, 'x'));
    write_file(layout.partial_ranges(hub_.etag(kWeights)), list);
    hub_.server().forget();
    const auto folder = pull(*parse_model_ref(kRepo), hub_.options(other.path()), {});
    ASSERT_TRUE(folder.has_value()) << folder.error().message;
    EXPECT_EQ(read_file(*folder / kWeights), hub_.content(kWeights));
    EXPECT_LT(hub_.server().body_bytes_sent(), kBytes + 10'000);
  }
}

TEST_F(Resume, TakesOverTheBeginningThatPythonsClientLeft) {
  ASSERT_TRUE(layout_.create().has_value());
  write_file(layout_.foreign_partial(hub_.etag(kWeights)),
             hub_.content(kWeights).substr(0, 1'800'000));
  expect_complete(pull_model());
  EXPECT_LT(hub_.server().body_bytes_sent(), 210'000u);
  EXPECT_FALSE(fs::exists(layout_.foreign_partial(hub_.etag(kWeights))));
}

TEST_F(Resume, ErrorOfOneFileKeepsTheOthersWork) {
  hub_.fault("config.json", [](const Request&, Reply& reply) { reply = {.status = 404}; });
  EXPECT_FALSE(pull_model({.connections = 1}).has_value());
  hub_.server().forget();
  expect_complete(pull_model());
  for (const Request& request : hub_.server().requests())
    EXPECT_EQ(request.target.find("tokenizer.json"), std::string::npos);
}

TEST(PartialFile, BytesBeyondTheEndAreCutOff) {
  const TempFolder folder;
  const fs::path path = folder.path() / "p";
  const fs::path list = folder.path() / "r";
  ByteRanges done;
  done.add({0, 4});
  write_file(path, "abcdefghij");
  write_file(list, done.to_text(6));
  auto file = PartialFile::open(path, list, 6);
  ASSERT_TRUE(file.has_value());
  EXPECT_TRUE((*file)->resumed());
  EXPECT_EQ((*file)->gaps(100), (std::vector<ByteRange>{{4, 6}}));
  ASSERT_TRUE((*file)->write(4, "EF").has_value());
  ASSERT_TRUE((*file)->finish(folder.path() / "done").has_value());
  EXPECT_EQ(read_file(folder.path() / "done"), "abcdEF");
  EXPECT_FALSE(fs::exists(list));
}

TEST(PartialFile, DoesNotFollowLinks) {
  const TempFolder folder;
  write_file(folder.path() / "victim", "keep");
  fs::create_symlink(folder.path() / "victim", folder.path() / "p");
  EXPECT_FALSE(PartialFile::open(folder.path() / "p", folder.path() / "r", 6).has_value());
  EXPECT_EQ(read_file(folder.path() / "victim"), "keep");
}

}  // namespace
}  // namespace millrace::hub::test
