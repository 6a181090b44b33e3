#include "base/json.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

TEST(Json, NamesFileAndReasonOfBadText) {
  const auto parsed = parse_json("{\"a\": }", "config.json");
  ASSERT_FALSE(parsed.has_value());
  EXPECT_EQ(parsed.error().code, ErrorCode::Corrupt);
  EXPECT_NE(parsed.error().message.find("config.json: not valid JSON: parse error at line 1"),
            std::string::npos)
      << parsed.error().message;
}

TEST(Json, RefusesDeepNesting) {
  const std::string deep(100'000, '[');
  const auto parsed = parse_json(deep, "body");
  ASSERT_FALSE(parsed.has_value());
}

TEST(Json, RefusesInvalidUtf8) {
  EXPECT_FALSE(parse_json("\"\xff\"", "body").has_value());
}

TEST(Json, TypedReadsNameFieldFoundAndExpected) {
  const Json object =
      *parse_json(R"({"n": 3, "s": "x", "null": null, "big": 18446744073709551615})", "t");
  EXPECT_EQ(*json_int(object, "n"), 3);
  EXPECT_EQ(*json_int(object, "absent"), std::nullopt);
  EXPECT_EQ(*json_int(object, "null"), std::nullopt);
  EXPECT_EQ(json_int(object, "s").error().message, "s: found string, expected an integer");
  EXPECT_EQ(json_int(object, "n", 5, 9).error().message,
            "n: found 3, expected an integer from 5 to 9");
  EXPECT_FALSE(json_int(object, "big").has_value());
  EXPECT_EQ(*json_string(object, "s"), "x");
  EXPECT_FALSE(json_bool(object, "n").has_value());
  EXPECT_EQ(**json_number(object, "n"), 3.0);
}

}  // namespace
}  // namespace millrace
