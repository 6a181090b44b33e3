#include "checkpoint/temporary_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/unit/checkpoint/file_maker.h"

namespace millrace {
namespace {

using testing::TempFolder;

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(TemporaryFile, IsThereWhenItIsKeptAndOnlyThen) {
  const TempFolder folder;
  const std::string path = folder.path("file");
  {
    auto file = TemporaryFile::create(path);
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->write("half", 4));
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  for (const std::string text : {"first", "second, in its place"}) {
    auto file = TemporaryFile::create(path);
    ASSERT_TRUE(file);
    ASSERT_TRUE(file->write(text.data(), text.size()));
    ASSERT_TRUE(file->keep());
    EXPECT_EQ(text_of(path), text);
  }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
}

// But for the temporary name where the file system has no files without one.
TEST(TemporaryFile, OfAProcessThatIsKilledLeavesNothing) {
  const TempFolder folder;
  const int fd = ::open(folder.path("").c_str(), O_WRONLY | O_TMPFILE, 0600);
  const bool has_nameless = fd >= 0;
  if (has_nameless) ::close(fd);
  const pid_t child = ::fork();
  if (child == 0) {
    auto file = TemporaryFile::create(folder.path("file"));
    ::_exit(file && file->write("half", 4) ? 0 : 1);  // no destructor runs
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}),
            has_nameless ? 0 : 1);
  EXPECT_FALSE(std::filesystem::exists(folder.path("file")));
}

}  // namespace
}  // namespace millrace
