// Every construct of the template language against what transformers makes of it
// (tools/golden/make_jinja_cases.py).
#include <gtest/gtest.h>

#include "base/json.h"
#include "tests/unit/text/template_support.h"
#include "text/jinja/template.h"

namespace millrace {
namespace {

TEST(JinjaCases, EqualsTransformers) {
  const Json file = testing::read_fixture("jinja_cases.json");
  ASSERT_EQ(file["now"], "2025-03-09 14:05:06.070809");
  const LocalTime now = testing::local_time(2025, 3, 9, 14, 5, 6, 70809);
  std::size_t cases = 0;
  for (const Json& group : file["groups"]) {
    JinjaVariables variables;
    for (const auto& [name, value] : group["variables"].items())
      variables.emplace_back(name, &value);
    for (const Json& test : group["cases"]) {
      ++cases;
      const auto source = test["template"].get<std::string>();
      SCOPED_TRACE(group["name"].get<std::string>() + ": " + source);
      const auto parsed = JinjaTemplate::parse(source, "case");
      const auto text = parsed ? parsed->render(variables, now)
                               : Result<std::string>(tl::unexpected(parsed.error()));
      if (test.contains("error")) {
        EXPECT_FALSE(text.has_value())
            << "gave: " << *text << "\nPython refuses: " << test["error"];
        continue;
      }
      ASSERT_TRUE(test.contains("text"));
      if (text)
        EXPECT_EQ(*text, test["text"].get<std::string>());
      else
        ADD_FAILURE() << "refused: " << text.error().message << "\nexpected: " << test["text"];
    }
  }
  EXPECT_GE(cases, 600u);
}

}  // namespace
}  // namespace millrace
