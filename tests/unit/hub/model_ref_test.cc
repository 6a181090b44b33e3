#include "hub/model_ref.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

TEST(ModelRef, ReadsEveryForm) {
  EXPECT_EQ(parse_model_ref("LiquidAI/LFM2-1.2B")->repo, "LiquidAI/LFM2-1.2B");
  EXPECT_EQ(parse_model_ref("LiquidAI/LFM2-1.2B")->revision, "main");
  EXPECT_EQ(parse_model_ref("a/b@refs/pr/1")->revision, "refs/pr/1");
  EXPECT_EQ(parse_model_ref("a/b:Q4_K_M")->quant, "Q4_K_M");
  const auto all = parse_model_ref("a/b@v1.0:Q8_0");
  ASSERT_TRUE(all.has_value());
  EXPECT_EQ(all->repo, "a/b");
  EXPECT_EQ(all->revision, "v1.0");
  EXPECT_EQ(all->quant, "Q8_0");
  EXPECT_EQ(all->text(), "a/b@v1.0:Q8_0");
  EXPECT_EQ(parse_model_ref("a/b")->text(), "a/b");
}

TEST(ModelRef, RefusesWhatCannotBePartOfAPathOrUrl) {
  for (const char* text :
       {"",         "model",   "/b",         "a/",     "a/b/c",     "../b",     "a/..",
        "./b",      "a/.b",    "a/-b",       "a/b--c", "a/b..c",    "a b/c",    "a/b c",
        "a\n/b",    "a/b@",    "a/b@..",     "a/b@/x", "a/b@x/",    "a/b@x//y", "a/b@x/../y",
        "a/b@.x",   "a/b@x y", "a/b@x\r\ny", "a/b@-x", "a/b:",      "a/b:Q4/0", "a/b:Q4:1",
        "a/b:Q4@x", "a/b?c",   "a/b#c",      "a/b%2e", "a/\xc3\xa9"}) {
    const auto ref = parse_model_ref(text);
    ASSERT_FALSE(ref.has_value()) << text;
    EXPECT_EQ(ref.error().code, ErrorCode::InvalidArgument);
    EXPECT_EQ(ref.error().message.find('\n'), std::string::npos);
  }
  EXPECT_FALSE(parse_model_ref("a/" + std::string(95, 'b')).has_value());
  EXPECT_TRUE(parse_model_ref("a/" + std::string(94, 'b')).has_value());
  EXPECT_FALSE(parse_model_ref("a/b@" + std::string(201, 'b')).has_value());
  EXPECT_FALSE(parse_model_ref(std::string("a/b\0c", 5)).has_value());
}

TEST(ModelRef, CommitIsFortyLowerHexDigits) {
  EXPECT_TRUE(is_commit("0123456789abcdef0123456789abcdef01234567"));
  EXPECT_FALSE(is_commit("0123456789ABCDEF0123456789abcdef01234567"));
  EXPECT_FALSE(is_commit("0123456"));
}

}  // namespace
}  // namespace millrace
