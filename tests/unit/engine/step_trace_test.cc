#include "engine/step_trace.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/json.h"

namespace millrace {
namespace {

TEST(StepTrace, KeepsTheLastSpansInOrder) {
  StepTrace trace(8);
  EXPECT_TRUE(trace.snapshot().empty());
  for (std::uint64_t i = 1; i <= 20; ++i)
    trace.add({.phase = StepPhase::Wait, .step = i, .amount = 3, .begin_ns = 10, .end_ns = 20});
  const auto spans = trace.snapshot();
  ASSERT_EQ(spans.size(), 8u);
  for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(spans[i].step, 13 + i);
  EXPECT_EQ(spans[0].amount, 3);
}

TEST(StepTrace, ReadersSeeWholeSpansWhileItIsWritten) {
  StepTrace trace(64);
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    for (std::uint64_t i = 1; !stop; ++i) {
      const auto n = static_cast<std::int64_t>(i);
      trace.add({.phase = StepPhase::Plan, .step = i, .amount = n, .begin_ns = n, .end_ns = 2 * n});
    }
  });
  std::size_t seen = 0;
  while (seen < 20'000) {
    std::uint64_t last = 0;
    for (const TraceSpan& span : trace.snapshot()) {
      const auto n = static_cast<std::int64_t>(span.step);
      EXPECT_TRUE(span.amount == n && span.begin_ns == n && span.end_ns == 2 * n);
      EXPECT_GT(span.step, last);
      last = span.step;
      ++seen;
    }
  }
  stop = true;
  writer.join();
}

TEST(StepTrace, OffCostsNothingAndWritesNothing) {
  TracedPhase nothing(nullptr, StepPhase::Plan, 1);
  nothing.end();
  StepTrace trace(4);
  {
    TracedPhase dropped(&trace, StepPhase::Plan, 1);
    dropped.drop();
  }
  EXPECT_TRUE(trace.snapshot().empty());
  {
    TracedPhase kept(&trace, StepPhase::Plan, 1);
    kept.set_amount(5);
  }
  ASSERT_EQ(trace.snapshot().size(), 1u);
  EXPECT_GE(trace.snapshot()[0].end_ns, trace.snapshot()[0].begin_ns);
}

TEST(StepTrace, ViewersGetJson) {
  const std::string text = chrome_trace(
      {{.phase = StepPhase::Plan, .step = 7, .amount = 5, .begin_ns = 1000, .end_ns = 3000},
       {.phase = StepPhase::Launch, .step = 7, .begin_ns = 3000, .end_ns = 4000},
       {.phase = StepPhase::Wait, .step = 7, .begin_ns = 4000, .end_ns = 9000},
       {.phase = StepPhase::Device, .step = 7, .begin_ns = 3500, .end_ns = 8500}},
      "a \"model\"");
  const auto json = parse_json(text, "trace");
  ASSERT_TRUE(json) << json.error().message;
  const Json& events = (*json)["traceEvents"];
  ASSERT_EQ(events.size(), 4u + 4u + 2u);
  EXPECT_EQ(events[0]["args"]["name"], "a \"model\"");
  EXPECT_EQ(events[4]["name"], "plan");
  EXPECT_DOUBLE_EQ(events[4]["ts"].get<double>(), 0);
  EXPECT_DOUBLE_EQ(events[4]["dur"].get<double>(), 2);
  EXPECT_EQ(events[7]["name"], "device");
  EXPECT_NE(events[7]["tid"], events[6]["tid"]);
  EXPECT_EQ(events[8]["name"], "step of 5 tokens");
  EXPECT_DOUBLE_EQ(events[9]["ts"].get<double>(), 8);
  EXPECT_TRUE(parse_json(chrome_trace({}, ""), "trace"));
}

}  // namespace
}  // namespace millrace
