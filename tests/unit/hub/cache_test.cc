// Caches that somebody else made.
#include <gtest/gtest.h>

#include <thread>

#include "hub/cache_layout.h"
#include "hub/file_lock.h"
#include "tests/unit/hub/fake_hub.h"

namespace millrace::hub::test {
namespace {

namespace fs = std::filesystem;

class Cache : public testing::Test {
 protected:
  Cache() { options_.cache = folder_.path(); }

  fs::path root() const { return folder_.path() / "models--org--model"; }
  fs::path snapshot() const { return root() / "snapshots" / kCommit; }

  // As Python's client does it.
  void put(const std::string& path, const std::string& content) {
    const std::string etag = git_blob(content);
    write_file(root() / "blobs" / etag, content);
    fs::create_directories((snapshot() / path).parent_path());
    const fs::path link = snapshot() / path;
    fs::create_symlink((root() / "blobs" / etag).lexically_relative(link.parent_path()), link);
  }
  void put_small_files() {
    put("config.json", "{}");
    put("tokenizer.json", "{ }");
    write_file(root() / "refs/main", kCommit);
  }
  std::optional<fs::path> find(const std::string& ref = kRepo) const {
    return find_cached(*parse_model_ref(ref), options_);
  }

  TempFolder folder_;
  HubOptions options_;
};

TEST_F(Cache, FindsAModelByBranchAndByCommit) {
  EXPECT_EQ(find(), std::nullopt);
  put_small_files();
  EXPECT_EQ(find(), std::nullopt);  // no weights
  put("model.safetensors", "w");
  EXPECT_EQ(find(), snapshot());
  EXPECT_EQ(find(std::string(kRepo) + "@" + kCommit), snapshot());
  EXPECT_EQ(find(std::string(kRepo) + "@other"), std::nullopt);
  EXPECT_EQ(find("org/other"), std::nullopt);
}

TEST_F(Cache, DanglingLinkIsAMissingFile) {
  put_small_files();
  put("model.safetensors", "w");
  fs::remove(root() / "blobs" / git_blob("w"));
  EXPECT_EQ(find(), std::nullopt);
}

TEST_F(Cache, NeedsEveryShardOfTheIndex) {
  put_small_files();
  put("model.safetensors.index.json",
      R"({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}})");
  put("model-00001-of-00002.safetensors", "1");
  EXPECT_EQ(find(), std::nullopt);
  put("model-00002-of-00002.safetensors", "2");
  EXPECT_EQ(find(), snapshot());
}

TEST_F(Cache, HostileIndexOrRefIsNoModel) {
  put_small_files();
  put("model-00001-of-00001.safetensors", "1");
  put("model.safetensors.index.json", R"({"weight_map": {"a": 3}})");
  EXPECT_EQ(find(), std::nullopt);
  fs::remove(snapshot() / "model.safetensors.index.json");
  put("model.safetensors.index.json", R"({"weight_map": {"a": "../../../etc/passwd"}})");
  EXPECT_EQ(find(), std::nullopt);
  put("model.safetensors", "w");
  EXPECT_EQ(find(), snapshot());
  write_file(root() / "refs/main", "../../../somewhere");
  EXPECT_EQ(find(), std::nullopt);
  write_file(root() / "refs/main", kCommit + "\n");
  EXPECT_EQ(find(), snapshot());
}

TEST_F(Cache, FindsAQuantization) {
  put("sub/m-Q4_0-00001-of-00002.gguf", "1");
  write_file(root() / "refs/main", kCommit);
  EXPECT_EQ(find(std::string(kRepo) + ":Q4_0"), std::nullopt);
  put("sub/m-Q4_0-00002-of-00002.gguf", "2");
  EXPECT_EQ(find(std::string(kRepo) + ":Q4_0"), snapshot() / "sub/m-Q4_0-00001-of-00002.gguf");
}

TEST_F(Cache, BlobsOfPythonsClientAreNotFetchedAgain) {
  FakeHub hub;
  hub.add_model(100'000);
  write_file(root() / "blobs" / hub.etag("model.safetensors"), hub.content("model.safetensors"));
  const auto pulled = pull(*parse_model_ref(kRepo), hub.options(folder_.path()), {});
  ASSERT_TRUE(pulled.has_value()) << pulled.error().message;
  EXPECT_LT(hub.server().body_bytes_sent(), 5'000u);
  EXPECT_EQ(read_file(*pulled / "model.safetensors"), hub.content("model.safetensors"));
}

TEST_F(Cache, BlobOfAnotherSizeIsReplaced) {
  FakeHub hub;
  hub.add_model(100'000);
  write_file(root() / "blobs" / hub.etag("model.safetensors"), "cut off");
  const auto pulled = pull(*parse_model_ref(kRepo), hub.options(folder_.path()), {});
  ASSERT_TRUE(pulled.has_value()) << pulled.error().message;
  EXPECT_EQ(read_file(*pulled / "model.safetensors"), hub.content("model.safetensors"));
}

TEST_F(Cache, NewCommitMovesTheRefAndKeepsTheOldSnapshot) {
  put_small_files();
  put("model.safetensors", "w");
  const std::string old_commit(40, 'e');
  fs::rename(snapshot(), root() / "snapshots" / old_commit);
  write_file(root() / "refs/main", old_commit);
  EXPECT_EQ(find(), root() / "snapshots" / old_commit);
  FakeHub hub;
  hub.add_model(1000);
  ASSERT_TRUE(pull(*parse_model_ref(kRepo), hub.options(folder_.path()), {}).has_value());
  EXPECT_EQ(find(), snapshot());
  EXPECT_TRUE(fs::exists(root() / "snapshots" / old_commit / "model.safetensors"));
}

TEST_F(Cache, FolderThatCannotBeWritten) {
  FakeHub hub;
  hub.add_model(1000);
  write_file(folder_.path() / "file", "");
  const auto pulled = pull(*parse_model_ref(kRepo), hub.options(folder_.path() / "file"), {});
  ASSERT_FALSE(pulled.has_value());
  EXPECT_NE(pulled.error().message.find("cannot make the folder"), std::string::npos);
}

TEST(FileLock, ExcludesAndSurvivesRemovalOfItsFile) {
  const TempFolder folder;
  const fs::path path = folder.path() / "x.lock";
  Stop stop;
  auto first = FileLock::acquire(path, stop);
  ASSERT_TRUE(first.has_value());
  Stop impatient;
  impatient.raise();
  EXPECT_EQ(FileLock::acquire(path, impatient).error().code, ErrorCode::Cancelled);

  std::atomic<bool> got = false;
  std::thread waiter([&] {
    const auto second = FileLock::acquire(path, stop);
    got = second.has_value() && fs::exists(path);
  });
  // Whoever removes the lock file leaves the waiter with one that nobody else can find.
  fs::remove(path);
  { const FileLock released = std::move(*first); }
  waiter.join();
  EXPECT_TRUE(got);
  EXPECT_TRUE(FileLock::acquire(path, impatient).has_value());
}

}  // namespace
}  // namespace millrace::hub::test
