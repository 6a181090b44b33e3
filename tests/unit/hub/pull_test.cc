// The good ways of a pull.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <thread>

#include "hub/cache_layout.h"
#include "tests/unit/hub/fake_hub.h"

namespace millrace::hub::test {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

class Pull : public testing::Test {
 protected:
  Result<fs::path> pull_model(const PullOptions& options = {}, const std::string& ref = kRepo) {
    return pull(*parse_model_ref(ref), hub_options_ ? *hub_options_ : hub_.options(cache_.path()),
                options);
  }

  FakeHub hub_;
  TempFolder cache_;
  std::optional<HubOptions> hub_options_;
};

TEST_F(Pull, BringsTheModelInTheLayoutOfPythonsClient) {
  hub_.add_model(300'000);
  const auto folder = pull_model();
  ASSERT_TRUE(folder.has_value()) << folder.error().message;
  const fs::path root = cache_.path() / "models--org--model";
  EXPECT_EQ(*folder, root / "snapshots" / kCommit);
  EXPECT_EQ(read_file(root / "refs" / "main"), kCommit);
  for (const char* path : {"config.json", "tokenizer.json", "model.safetensors"}) {
    EXPECT_EQ(read_file(*folder / path), hub_.content(path));
    EXPECT_EQ(fs::read_symlink(*folder / path), fs::path("../../blobs") / hub_.etag(path));
  }
  EXPECT_FALSE(fs::exists(*folder / "README.md"));
  EXPECT_FALSE(fs::exists(*folder / "onnx"));
  // Nothing unfinished stays.
  for (const auto& entry : fs::directory_iterator(root / "blobs"))
    EXPECT_EQ(entry.path().filename().string().find('.'), std::string::npos) << entry.path();
  EXPECT_EQ(find_cached(*parse_model_ref(kRepo), hub_.options(cache_.path())), *folder);
}

TEST_F(Pull, SecondPullServesNoContent) {
  hub_.add_model(100'000);
  ASSERT_TRUE(pull_model().has_value());
  hub_.server().forget();
  ASSERT_TRUE(pull_model().has_value());
  EXPECT_EQ(hub_.server().requests().size(), 2u);  // revision and tree
  hub_.server().forget();
  ASSERT_TRUE(pull_model({}, std::string(kRepo) + "@" + kCommit).has_value());
  EXPECT_TRUE(hub_.server().requests().empty());
}

TEST_F(Pull, FilesInFoldersAndOfEqualOrNoContent) {
  hub_.add("a/b/one", "same");
  hub_.add("two", "same");
  hub_.add("empty", "");
  const auto folder = pull_model({.include = {"*"}});
  ASSERT_TRUE(folder.has_value()) << folder.error().message;
  EXPECT_EQ(read_file(*folder / "a/b/one"), "same");
  EXPECT_EQ(fs::read_symlink(*folder / "a/b/one").string().rfind("../../../../blobs/", 0), 0u);
  EXPECT_EQ(read_file(*folder / "two"), "same");
  EXPECT_TRUE(fs::is_regular_file(*folder / "empty"));
}

TEST_F(Pull, AQuantizationGivesItsFile) {
  hub_.add("m-Q4_0.gguf", noise(5000), true);
  hub_.add("m-Q8_0.gguf", noise(9000), true);
  const auto file = pull_model({}, std::string(kRepo) + ":Q4_0");
  ASSERT_TRUE(file.has_value()) << file.error().message;
  EXPECT_EQ(file->filename(), "m-Q4_0.gguf");
  EXPECT_EQ(read_file(*file), hub_.content("m-Q4_0.gguf"));
  EXPECT_FALSE(fs::exists(file->parent_path() / "m-Q8_0.gguf"));
  const HubOptions options = hub_.options(cache_.path());
  EXPECT_EQ(find_cached(*parse_model_ref(std::string(kRepo) + ":Q4_0"), options), *file);
  EXPECT_EQ(find_cached(*parse_model_ref(std::string(kRepo) + ":Q8_0"), options), std::nullopt);
}

TEST_F(Pull, RangesOfALargeFileRunInParallel) {
  hub_.add_model(1'000'000);
  // Every reply waits until four are under way: one at a time would never end.
  std::mutex mutex;
  std::condition_variable changed;
  int under_way = 0;
  bool together = true;
  hub_.fault(
      "model.safetensors",
      [&](const Request&, Reply& reply) {
        reply.before_body = [&] {
          std::unique_lock lock(mutex);
          ++under_way;
          changed.notify_all();
          together &=
              changed.wait_for(lock, std::chrono::seconds(5), [&] { return under_way >= 4; });
        };
      },
      4);
  const auto folder = pull_model({.connections = 4, .piece_bytes = 250'000});
  ASSERT_TRUE(folder.has_value()) << folder.error().message;
  EXPECT_TRUE(together);
  EXPECT_EQ(under_way, 4);
  EXPECT_EQ(read_file(*folder / "model.safetensors"), hub_.content("model.safetensors"));
  int ranges = 0;
  for (const Request& request : hub_.server().requests())
    ranges += !request.header("range").empty();
  EXPECT_EQ(ranges, 4);
}

TEST_F(Pull, TokenGoesToTheHubAndNeverToTheStorageHost) {
  hub_.add_model(500'000);
  hub_.use_storage_host();
  hub_options_ = hub_.options(cache_.path());
  hub_options_->token = "hf_secret";
  const auto folder = pull_model({.piece_bytes = 100'000});
  ASSERT_TRUE(folder.has_value()) << folder.error().message;
  EXPECT_EQ(read_file(*folder / "model.safetensors"), hub_.content("model.safetensors"));
  ASSERT_FALSE(hub_.storage().requests().empty());
  for (const Request& request : hub_.storage().requests())
    EXPECT_EQ(request.header("authorization"), "");
  for (const Request& request : hub_.server().requests())
    EXPECT_EQ(request.header("authorization"), "Bearer hf_secret");
}

TEST_F(Pull, AsksTheHubAgainWhenASignedAddressExpires) {
  hub_.add_model(500'000);
  hub_.use_storage_host();
  hub_.expire_storage_once();
  const auto folder = pull_model({.connections = 1, .piece_bytes = 100'000});
  ASSERT_TRUE(folder.has_value()) << folder.error().message;
  EXPECT_EQ(read_file(*folder / "model.safetensors"), hub_.content("model.safetensors"));
  int resolved = 0;
  for (const Request& request : hub_.server().requests())
    resolved += request.target.find("model.safetensors") != std::string::npos;
  EXPECT_EQ(resolved, 2);  // not once for each of the five ranges
}

TEST_F(Pull, HubWithoutListingIsAskedFileByFile) {
  hub_.add_model(50'000);
  hub_.use_storage_host();
  hub_.remove_tree_api();
  const auto folder = pull_model();
  ASSERT_TRUE(folder.has_value()) << folder.error().message;
  EXPECT_EQ(read_file(*folder / "model.safetensors"), hub_.content("model.safetensors"));
  int heads = 0;
  for (const Request& request : hub_.server().requests()) heads += request.method == "HEAD";
  EXPECT_EQ(heads, 3);
}

TEST_F(Pull, FollowsThePagesOfAListing) {
  hub_.add_model(10'000);
  const auto page = [&](const std::string& path, bool lfs) {
    const std::string size = std::to_string(hub_.content(path).size());
    return R"([{"type":"file","path":")" + path + R"(","size":)" + size + R"(,"oid":")" +
           (lfs ? std::string(40, 'c') : hub_.etag(path)) + "\"" +
           (lfs ? R"(,"lfs":{"oid":")" + hub_.etag(path) + R"(","size":)" + size + "}" : "") + "}]";
  };
  const std::string tree = "/api/models/" + std::string(kRepo) + "/tree/" + kCommit;
  const std::string next = "<" + hub_.server().url() + tree + "?cursor=2>; rel=\"next\"";
  hub_.answer(tree + "?recursive",
              {.headers = {{"Link", next}}, .body = page("config.json", false)});
  hub_.answer(tree + "?cursor=2", {.body = page("model.safetensors", true)});
  const auto files = list_files(*parse_model_ref(kRepo), hub_.options(cache_.path()), {});
  ASSERT_TRUE(files.has_value()) << files.error().message;
  ASSERT_EQ(files->size(), 2u);
  EXPECT_EQ((*files)[0].path, "config.json");
  EXPECT_EQ((*files)[1].size, 10'000u);
  EXPECT_TRUE(fs::is_empty(cache_.path()));
}

TEST_F(Pull, ListingThatNeverEndsOrLeavesTheHubIsRefused) {
  hub_.add_model(10'000);
  const std::string tree = "/api/models/" + std::string(kRepo) + "/tree/";
  hub_.answer(tree, {.headers = {{"Link", "<" + hub_.server().url() + tree + ">; rel=\"next\""}},
                     .body = "[]"});
  EXPECT_EQ(pull_model().error().code, ErrorCode::TooLarge);
  hub_.answer(tree, {.headers = {{"Link", "<http://127.0.0.1:1/x>; rel=\"next\""}}, .body = "[]"});
  EXPECT_EQ(pull_model().error().code, ErrorCode::Corrupt);
}

TEST_F(Pull, BranchWithSlashesHasItsOwnRef) {
  hub_.add_model(1000);
  ASSERT_TRUE(pull_model({}, std::string(kRepo) + "@refs/pr/1").has_value());
  EXPECT_EQ(read_file(cache_.path() / "models--org--model/refs/refs/pr/1"), kCommit);
  EXPECT_FALSE(fs::exists(cache_.path() / "models--org--model/refs/main"));
}

TEST_F(Pull, OfflineAnswersFromTheCacheAlone) {
  hub_.add_model(1000);
  hub_options_ = hub_.options(cache_.path());
  hub_options_->offline = true;
  const auto missing = pull_model();
  ASSERT_FALSE(missing.has_value());
  EXPECT_THAT(missing.error().message, HasSubstr("HF_HUB_OFFLINE"));
  hub_options_->offline = false;
  const auto folder = pull_model();
  hub_.server().forget();
  hub_options_->offline = true;
  EXPECT_EQ(*pull_model(), *folder);
  EXPECT_EQ(pull_model({.include = {"*.gguf"}}).error().code, ErrorCode::NotFound);
  EXPECT_TRUE(hub_.server().requests().empty());
}

TEST_F(Pull, NeedsDiskSpaceBeforeItStarts) {
  hub_.add("config.json", "{}");
  hub_.set_tree(R"([{"type":"file","path":"config.json","size":17592186044416,"oid":")" +
                hub_.etag("config.json") + "\"}]");
  const auto full = pull_model({.include = {"*"}});
  ASSERT_FALSE(full.has_value());
  EXPECT_EQ(full.error().code, ErrorCode::TooLarge);
  EXPECT_THAT(full.error().message, HasSubstr("free in"));
  EXPECT_EQ(hub_.server().requests().size(), 2u);
}

TEST_F(Pull, RefusesOptionsThatMakeNoSense) {
  EXPECT_EQ(pull_model({.connections = 0}).error().code, ErrorCode::InvalidArgument);
  hub_options_ = hub_.options(cache_.path());
  hub_options_->token = "hf_x\r\nEvil: yes";
  const auto bad_token = pull_model();
  EXPECT_EQ(bad_token.error().code, ErrorCode::InvalidArgument);
  EXPECT_THAT(bad_token.error().message, Not(HasSubstr("hf_x")));
  hub_options_ = hub_.options("");
  EXPECT_EQ(pull_model().error().code, ErrorCode::InvalidArgument);
  hub_options_ = hub_.options(cache_.path());
  hub_options_->endpoint = "file:///etc";
  EXPECT_EQ(pull_model().error().code, ErrorCode::InvalidArgument);
}

}  // namespace
}  // namespace millrace::hub::test
