#include "device/gpu/choice_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace millrace {
namespace {

class ChoiceFileTest : public ::testing::Test {
 protected:
  ~ChoiceFileTest() override { std::filesystem::remove_all(folder_); }

  std::string path() const { return (folder_ / "deep" / "choices").string(); }
  void put(const std::string& text) const {
    std::filesystem::create_directories(folder_ / "deep");
    std::ofstream(path()) << text;
  }

  std::filesystem::path folder_ =
      std::filesystem::path(::testing::TempDir()) / ("choices-" + std::to_string(::getpid()));
};

TEST_F(ChoiceFileTest, RemembersWhatWasKept) {
  {
    ChoiceFile file(path(), "H200, driver 1");
    EXPECT_EQ(file.find("a"), std::nullopt);
    file.keep("a", "1");
    file.keep("b", "2");
    file.keep("a", "3");
    EXPECT_EQ(file.find("a"), "3");
  }
  const ChoiceFile again(path(), "H200, driver 1");
  EXPECT_EQ(again.find("a"), "3");
  EXPECT_EQ(again.find("b"), "2");
}

TEST_F(ChoiceFileTest, AnotherIdentityKnowsNothing) {
  ChoiceFile(path(), "H200, driver 1").keep("a", "1");
  ChoiceFile other(path(), "H200, driver 2");
  EXPECT_EQ(other.find("a"), std::nullopt);
  other.keep("b", "2");
  EXPECT_EQ(ChoiceFile(path(), "H200, driver 2").find("a"), std::nullopt);
  EXPECT_EQ(ChoiceFile(path(), "H200, driver 2").find("b"), "2");
}

TEST_F(ChoiceFileTest, DamagedFilesCountAsEmpty) {
  for (const char* text : {"", "id", "id\na 1\n", "id\na\nend\n", "id\na 1 2\nend\n",
                           "id\n 1\nend\n", "id\na \nend\n", "\nend\n"}) {
    put(text);
    EXPECT_EQ(ChoiceFile(path(), "id").find("a"), std::nullopt) << text;
  }
  put("id\na 1\nend\n");
  EXPECT_EQ(ChoiceFile(path(), "id").find("a"), "1");
}

TEST_F(ChoiceFileTest, WithoutAPlaceToWriteMemoryServes) {
  ChoiceFile nowhere("", "id");
  nowhere.keep("a", "1");
  EXPECT_EQ(nowhere.find("a"), "1");
  ChoiceFile forbidden("/proc/choices/file", "id");
  forbidden.keep("a", "1");
  EXPECT_EQ(forbidden.find("a"), "1");
}

}  // namespace
}  // namespace millrace
