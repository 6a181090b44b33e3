#include "scheduler/scheduler.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

#include "base/check.h"

namespace millrace {
namespace {

// "1:prefill[0,4) 2:decode[7,8)!" where ! asks for logits.
std::string show(std::span<const PlanSpan> plan) {
  std::string out;
  for (const PlanSpan& span : plan) {
    const char* kind = span.kind == SpanKind::Replay    ? "replay"
                       : span.kind == SpanKind::Prefill ? "prefill"
                                                        : "decode";
    out += (out.empty() ? "" : " ") + std::to_string(span.id) + ":" + kind + "[" +
           std::to_string(span.first) + "," + std::to_string(span.first + span.count) + ")" +
           (span.wants_logits ? "!" : "");
  }
  return out;
}

std::string step(Scheduler& scheduler) {
  const std::string shown = show(scheduler.next_plan());
  scheduler.advance();
  return shown;
}

TEST(Scheduler, CutsPromptsIntoChunksAndDecodesFirst) {
  Scheduler scheduler({.step_budget = 4, .max_running = 4});
  EXPECT_EQ(step(scheduler), "");
  scheduler.add(1, 6, 0, 0);
  scheduler.add(2, 3, 0, 0);
  EXPECT_EQ(step(scheduler), "1:prefill[0,4)");
  EXPECT_EQ(step(scheduler), "1:prefill[4,6)! 2:prefill[0,2)");
  EXPECT_EQ(step(scheduler), "1:decode[6,7)! 2:prefill[2,3)!");
  EXPECT_EQ(step(scheduler), "1:decode[7,8)! 2:decode[3,4)!");
  scheduler.finish(1);
  EXPECT_EQ(step(scheduler), "2:decode[4,5)!");
}

TEST(Scheduler, ReplaysBeforeItGoesOn) {
  Scheduler scheduler({.step_budget = 8, .max_running = 4});
  scheduler.add(7, 12, 10, 6);
  EXPECT_EQ(step(scheduler), "7:replay[4,10)");
  EXPECT_EQ(step(scheduler), "7:prefill[10,12)!");
  EXPECT_EQ(step(scheduler), "7:decode[12,13)!");
}

TEST(Scheduler, AReplayWaitsForASpaciousStep) {
  Scheduler scheduler({.step_budget = 8, .max_running = 4});
  scheduler.add(1, 5, 0, 0);
  scheduler.add(2, 12, 10, 6);
  EXPECT_EQ(step(scheduler), "1:prefill[0,5)!");
  EXPECT_EQ(step(scheduler), "1:decode[5,6)! 2:replay[4,10)");
}

// Whatever the mix, every position of every prompt is computed exactly once and in order, a step
// never exceeds its budget, and every request gets its answer.
TEST(Scheduler, RandomLoadsAreComputedOnceAndInOrder) {
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    const auto draw = [&](std::int64_t low, std::int64_t high) {
      return std::uniform_int_distribution<std::int64_t>(low, high)(random);
    };
    const std::int64_t budget = draw(8, 32);
    Scheduler scheduler({.step_budget = budget, .max_running = 6});
    struct Expected {
      std::int64_t next, prompt, answers;
    };
    std::map<RequestId, Expected> running;
    RequestId next_id = 1;
    std::int64_t left = 20;
    for (int steps = 0; left > 0 || !running.empty(); ++steps) {
      ASSERT_LT(steps, 5000);
      if (left > 0 && running.size() < 6 && draw(0, 2) == 0) {
        const std::int64_t prompt = draw(1, 60);
        const std::int64_t cached = draw(0, prompt - 1);
        scheduler.add(next_id, prompt, cached, std::min<std::int64_t>(cached, draw(0, 6)));
        running[next_id++] = {cached, prompt, draw(1, 10)};
        --left;
      }
      std::int64_t used = 0;
      std::vector<RequestId> done;
      for (const PlanSpan& span : scheduler.next_plan()) {
        used += span.count;
        Expected& expected = running.at(span.id);
        if (span.kind == SpanKind::Replay) {
          EXPECT_EQ(span.first + span.count, expected.next);
          continue;
        }
        EXPECT_EQ(span.first, expected.next);
        expected.next += span.count;
        EXPECT_EQ(span.wants_logits, expected.next >= expected.prompt);
        if (span.wants_logits && --expected.answers == 0) done.push_back(span.id);
      }
      EXPECT_LE(used, budget);
      scheduler.advance();
      for (const RequestId id : done) {
        scheduler.finish(id);
        running.erase(id);
      }
    }
  }
}

}  // namespace
}  // namespace millrace
