#include "hub/options.h"

#include <gtest/gtest.h>

#include <map>

#include "tests/unit/hub/fake_hub.h"

namespace millrace {
namespace {

using Variables = std::map<std::string, std::string>;

HubOptions options_of(const Variables& variables) {
  return HubOptions::from_variables([&](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  });
}

TEST(HubOptions, CacheFolderInTheOrderOfPythonsClient) {
  Variables variables{{"HOME", "/h"}};
  EXPECT_EQ(options_of(variables).cache, "/h/.cache/huggingface/hub");
  variables["XDG_CACHE_HOME"] = "/x";
  EXPECT_EQ(options_of(variables).cache, "/x/huggingface/hub");
  variables["HF_HOME"] = "~/hf";
  EXPECT_EQ(options_of(variables).cache, "/h/hf/hub");
  variables["HF_HUB_CACHE"] = "/c";
  EXPECT_EQ(options_of(variables).cache, "/c");
  variables["HF_HUB_CACHE"] = "";
  EXPECT_EQ(options_of(variables).cache, "/h/hf/hub");
  EXPECT_TRUE(options_of({}).cache.empty());
}

TEST(HubOptions, TokenFromVariableThenFiles) {
  const hub::test::TempFolder folder;
  const std::string home = folder.path().string();
  EXPECT_EQ(options_of({{"HF_HOME", home}}).token, "");
  hub::test::write_file(folder.path() / "token", "from_home\n");
  EXPECT_EQ(options_of({{"HF_HOME", home}}).token, "from_home");
  hub::test::write_file(folder.path() / "other", "  from_path\r\n");
  Variables variables{{"HF_HOME", home}, {"HF_TOKEN_PATH", home + "/other"}};
  EXPECT_EQ(options_of(variables).token, "from_path");
  variables["HF_TOKEN"] = " from_variable\n";
  EXPECT_EQ(options_of(variables).token, "from_variable");
}

TEST(HubOptions, EndpointAndOffline) {
  EXPECT_EQ(options_of({}).endpoint, "https://huggingface.co");
  EXPECT_EQ(options_of({{"HF_ENDPOINT", "http://mirror:8080//"}}).endpoint, "http://mirror:8080");
  EXPECT_FALSE(options_of({}).offline);
  EXPECT_TRUE(options_of({{"HF_HUB_OFFLINE", "1"}}).offline);
  EXPECT_TRUE(options_of({{"HF_HUB_OFFLINE", "True"}}).offline);
  EXPECT_FALSE(options_of({{"HF_HUB_OFFLINE", "0"}}).offline);
}

}  // namespace
}  // namespace millrace
