// Several pulls of one repository, in threads and in processes.
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "hub/byte_ranges.h"
#include "hub/cache_layout.h"
#include "tests/unit/hub/fake_hub.h"

namespace millrace::hub::test {
namespace {

namespace fs = std::filesystem;

constexpr const char* kWeights = "model.safetensors";

// A pull in a process of its own: pull_child.cc.
pid_t spawn_pull(const std::string& endpoint, const fs::path& cache) {
  std::string program = MILLRACE_PULL_CHILD;
  std::string from = endpoint;
  std::string to = cache.string();
  char* arguments[] = {program.data(), from.data(), to.data(), nullptr};
  pid_t child = 0;
  const int error = ::posix_spawn(&child, program.c_str(), nullptr, nullptr, arguments, environ);
  ::unsetenv("MILLRACE_TEST_ENDPOINT");
  ::unsetenv("MILLRACE_TEST_CACHE");
  return error == 0 ? child : -1;
}

bool succeeded(pid_t child) {
  int status = 0;
  return ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(Concurrent, ThreadsShareOneDownload) {
  FakeHub hub;
  hub.add_model(3'000'000);
  const TempFolder cache;
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      const auto pulled = pull(*parse_model_ref(kRepo), hub.options(cache.path()),
                               {.connections = 3, .piece_bytes = 500'000});
      good += pulled.has_value() && read_file(*pulled / kWeights) == hub.content(kWeights);
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 4);
  EXPECT_LT(hub.server().body_bytes_sent(), 3'100'000u);
}

TEST(Concurrent, ProcessesShareOneDownload) {
  FakeHub hub;
  hub.add_model(3'000'000);
  const TempFolder cache;
  const pid_t first = spawn_pull(hub.server().url(), cache.path());
  const pid_t second = spawn_pull(hub.server().url(), cache.path());
  EXPECT_TRUE(succeeded(first));
  EXPECT_TRUE(succeeded(second));
  const auto folder = find_cached(*parse_model_ref(kRepo), hub.options(cache.path()));
  ASSERT_TRUE(folder.has_value());
  EXPECT_EQ(read_file(*folder / kWeights), hub.content(kWeights));
  EXPECT_LT(hub.server().body_bytes_sent(), 3'100'000u);
}

TEST(Concurrent, KilledProcessLeavesWhatItHad) {
  FakeHub hub;
  hub.add_model(6'000'000);
  const TempFolder cache;
  // The third range and those after it never end.
  hub.fault(
      kWeights, [](const Request&, Reply&) {}, 2);
  hub.fault(
      kWeights, [](const Request&, Reply& reply) { reply.stall_after = 500'000; }, 2);
  const pid_t child = spawn_pull(hub.server().url(), cache.path());
  // The list on the disk is what counts; it is written within a second of the bytes.
  const fs::path list = RepoCache(cache.path(), kRepo).partial_ranges(hub.etag(kWeights));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  std::optional<ByteRanges> done;
  while (std::chrono::steady_clock::now() < deadline && (!done || done->total() == 0)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    done = ByteRanges::from_text(read_file(list), 6'000'000);
  }
  ::kill(child, SIGKILL);
  EXPECT_FALSE(succeeded(child));
  ASSERT_TRUE(done && done->total() > 0);
  EXPECT_EQ(find_cached(*parse_model_ref(kRepo), hub.options(cache.path())), std::nullopt);

  hub.clear_faults();
  hub.server().forget();
  const auto folder = pull(*parse_model_ref(kRepo), hub.options(cache.path()), {});
  ASSERT_TRUE(folder.has_value()) << folder.error().message;
  EXPECT_EQ(read_file(*folder / kWeights), hub.content(kWeights));
  EXPECT_LE(hub.server().body_bytes_sent(), 6'000'000 - done->total() + 10'000);
}

}  // namespace
}  // namespace millrace::hub::test
