#include "scheduler/scheduler.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/unit/scheduler/scenario.h"

namespace millrace::testing {
namespace {

TEST(Scheduler, CutsPromptsIntoChunksAndDecodesFirst) {
  EXPECT_EQ(run_scenario(R"(
    limits budget=4 share=1
    step > -
    submit a prompt=6
    submit b prompt=3
    step > a:prefill[0,4)
    step > a:prefill[4,6)! b:prefill[0,2)
    step > a:decode[6,7)! b:prefill[2,3)!
    step > a:decode[7,8)! b:decode[3,4)!
    end a
    step > b:decode[4,5)!
  )"),
            "");
}

TEST(Scheduler, ReplaysBeforeItGoesOn) {
  EXPECT_EQ(run_scenario(R"(
    limits budget=12 replay=6
    submit a prompt=12 cached=10 replay=6
    step > a:replay[4,10)
    step > a:prefill[10,12)!
    step > a:decode[12,13)!
  )"),
            "");
}

TEST(Scheduler, AReplayWaitsForASpaciousStep) {
  EXPECT_EQ(run_scenario(R"(
    limits budget=8 running=2 replay=6
    submit a prompt=5
    submit b prompt=12 cached=10 replay=6
    step > a:prefill[0,5)!
    step > a:decode[5,6)! b:replay[4,10)
  )"),
            "");
}

// The first prompt leaves room to those behind it, and takes what they leave.
TEST(Scheduler, AShortPromptPassesALongOne) {
  EXPECT_EQ(run_scenario(R"(
    limits budget=8
    submit a prompt=40
    step > a:prefill[0,8)
    submit b prompt=3
    step > a:prefill[8,13) b:prefill[0,3)!
    step > b:decode[3,4)! a:prefill[13,20)
  )"),
            "");
  EXPECT_EQ(run_scenario(R"(
    limits budget=8
    submit a prompt=16
    submit b prompt=12
    submit c prompt=2
    step > a:prefill[0,8)
    step > a:prefill[8,12) b:prefill[0,4)
    step > a:prefill[12,16)! b:prefill[4,8)
    step > a:decode[16,17)! b:prefill[8,12)! c:prefill[0,2)!
  )"),
            "");
}

TEST(Scheduler, PriorityComesFirstAndAges) {
  EXPECT_EQ(run_scenario(R"(
    limits budget=8 running=1 aging=3
    submit a prompt=2
    step > a:prefill[0,2)!
    submit low prompt=2 priority=1
    submit b prompt=2
    step > a:decode[2,3)!
    step > a:decode[3,4)!
    end a
    step > b:prefill[0,2)!
    submit c prompt=2                # comes 3 steps after low: no sooner than it
    end b
    step > low:prefill[0,2)!
  )"),
            "");
}

// Who is more urgent does not wait for whoever is less so to end.
TEST(Scheduler, TheLessUrgentGiveWay) {
  EXPECT_EQ(run_scenario(R"(
    limits budget=8 running=1
    submit a prompt=2
    step > a:prefill[0,2)!
    submit urgent prompt=2 priority=-1
    step > a:decode[2,3)!
    step > urgent:prefill[0,2)!
    step > urgent:decode[2,3)!
    end urgent
    step > a:prefill[0,4)!           # again from its beginning: the ledger kept nothing
  )"),
            "");
}

// Four blocks of four tokens: two answers cannot both grow.
TEST(Scheduler, TheLastInOrderIsPutOffWhenMemoryIsShort) {
  EXPECT_EQ(run_scenario(R"(
    limits budget=16 blocks=4 block=4
    submit a prompt=6
    submit b prompt=6
    step > a:prefill[0,6)! b:prefill[0,6)!
    free > 0
    step > a:decode[6,7)! b:decode[6,7)!
    step > a:decode[7,8)! b:decode[7,8)!
    step > a:decode[8,9)!            # needs a block: b's go back
    free > 1
    step > a:decode[9,10)!
    end a
    step > b:prefill[0,9)!           # its prompt and three tokens
    step > b:decode[9,10)!
  )"),
            "");
}

// While a step uses the memory it cannot come back: whoever needs it waits a step.
TEST(Scheduler, MemoryComesBackWhenItsStepHasEnded) {
  EXPECT_EQ(run_scenario(R"(
    limits budget=16 blocks=4 block=4
    submit a prompt=7
    submit b prompt=7
    step > a:prefill[0,7)! b:prefill[0,7)!
    busy b
    step > a:decode[7,8)! b:decode[7,8)!
    step > -
    idle b
    step > a:decode[8,9)!
  )"),
            "");
}

TEST(Scheduler, AdmissionLeavesRoomToThoseThatRun) {
  EXPECT_EQ(run_scenario(R"(
    limits budget=16 blocks=4 block=4 spare=1
    submit a prompt=6
    submit b prompt=6
    step > a:prefill[0,6)!
    free > 2
  )"),
            "");
}

TEST(Scheduler, GuessesAreCheckedBeforeItGoesOn) {
  EXPECT_EQ(run_scenario(R"(
    limits budget=12 spare_logits=8
    submit a prompt=4 waits drafts=3
    submit b prompt=4
    step > a:prefill[0,4)! b:prefill[0,4)!
    step > b:decode[4,5)!            # a's first token is not known yet
    verified a 4
    step > a:decode[4,8)! b:decode[5,6)!
    verified a 6                     # one of three was right
    step > a:decode[6,10)! b:decode[6,7)!
  )"),
            "");
}

TEST(Scheduler, APromptThatWantsLogitsTakesTheRowsThereAre) {
  EXPECT_EQ(run_scenario(R"(
    limits budget=16 spare_logits=4 share=1
    submit a prompt=12 logits=11
    submit b prompt=6
    submit c prompt=3 logits=2
    step > a:prefill[0,5) b:prefill[0,6)! c:prefill[0,1)
    step > b:decode[6,7)! a:prefill[5,10) c:prefill[1,2)
    step > b:decode[7,8)! a:prefill[10,12)! c:prefill[2,3)!
    step > a:decode[12,13)! b:decode[8,9)! c:decode[3,4)!
  )"),
            "");
  // One that begins again takes none for what has been judged.
  EXPECT_EQ(run_scenario(R"(
    limits budget=16 spare_logits=2 share=1
    submit a prompt=12 logits=11
    step > a:prefill[0,3)
    judged a 7
    step > a:prefill[3,7)
    step > a:prefill[7,10)
    judged a 11
    step > a:prefill[10,12)!
  )"),
            "");
  // Guesses leave half of them.
  EXPECT_EQ(run_scenario(R"(
    limits budget=20 spare_logits=4
    submit a prompt=2 waits drafts=4
    step > a:prefill[0,2)!
    verified a 2
    submit b prompt=9 logits=8
    step > a:decode[2,7)! b:prefill[0,1)
    verified a 4
    step > a:decode[4,7)! b:prefill[1,4)
  )"),
            "");
}

TEST(Scheduler, WhoWaitsForAnothersPromptLetsOthersPass) {
  EXPECT_EQ(run_scenario(R"(
    limits budget=8
    submit a prompt=4
    submit b prompt=4
    submit c prompt=2
    later b
    step > a:prefill[0,4)! c:prefill[0,2)!
    ready b
    step > a:decode[4,5)! c:decode[2,3)! b:prefill[0,4)!
  )"),
            "");
}

TEST(Scheduler, AScenarioThatIsNotMetSaysWhere) {
  EXPECT_EQ(run_scenario("limits budget=4\nsubmit a prompt=2\nstep > -\n"),
            "line 3: found 'a:prefill[0,2)!', expected '-'");
}

// Whatever the mix: every position is computed in order, once for each time a request is admitted;
// a step never exceeds its budget; memory is never overdrawn; nobody waits longer than those before
// them in the order take, computed alone one token a step; and everything comes back. With overlap
// a token can take four steps: one until it is verified, and as many for memory that is on its way.
TEST(Scheduler, RandomLoads) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    const auto draw = [&](std::int64_t low, std::int64_t high) {
      return std::uniform_int_distribution<std::int64_t>(low, high)(random);
    };
    const std::int64_t running = draw(1, 6);
    const std::int64_t longest = 80;
    const std::int64_t block = draw(1, 8);
    const std::int64_t blocks = (longest + block) / block + draw(0, 40);
    SchedulerLimits limits{.step_budget = running + 6 + draw(0, 24),
                           .max_running = running,
                           .replay_tokens = 6,
                           .spare_logits = draw(0, 8)};
    SchedulerPolicy policy;
    policy.aging_steps = draw(1, 20);
    policy.first_prompt_share = static_cast<double>(draw(1, 10)) / 10;
    CountingLedger ledger(blocks, block);
    Scheduler scheduler(limits, ledger, policy);
    struct Expected {
      std::int64_t prompt, answer, next, admissions, due, work;
      std::int64_t logits_until = 0;
      std::int64_t bound = 0;  // steps until it is admitted
      std::int64_t came = 0;
      bool waits = false;
      bool in_flight = false;
    };
    std::map<RequestId, Expected> all;
    RequestId next_id = 1;
    std::int64_t left = 30;
    const bool overlap = draw(0, 1) == 1;
    std::map<RequestId, std::int64_t> verify;  // computed positions that are right
    std::set<RequestId> busy;                  // of the step in flight
    std::map<RequestId, std::unique_ptr<Lease>> leaving;
    for (int steps = 0; left > 0 || !all.empty() || !leaving.empty(); ++steps) {
      ASSERT_LT(steps, 20000) << "seed " << seed;
      if (left > 0 && draw(0, 2) == 0) {
        const std::int64_t prompt = draw(1, 60);
        CountingLedger::Request& request = ledger.of(next_id);
        request.tokens = prompt;
        request.cached = draw(0, prompt - 1);
        request.replay = std::min<std::int64_t>(request.cached, draw(0, 6));
        request.drafts = draw(0, 4);
        Submission submission{.id = next_id,
                              .tokens = prompt,
                              .priority = static_cast<int>(draw(-2, 2)),
                              .waits_for_tokens = draw(0, 2) == 0,
                              .logits_until = draw(0, 3) == 0 ? prompt - 1 : 0};
        scheduler.submit(submission);
        Expected expected{
            prompt, draw(1, 20), 0, 0, scheduler.steps() + submission.priority * policy.aging_steps,
            0};
        expected.work = prompt + expected.answer + 3;
        expected.waits = submission.waits_for_tokens;
        expected.logits_until = submission.logits_until;
        expected.came = scheduler.steps();
        for (const auto& [id, other] : all)
          if (other.due <= expected.due) expected.bound += other.work;
        // Those that come later and are more urgent push it back.
        for (auto& [id, other] : all)
          if (expected.due < other.due) other.bound += expected.work;
        all.emplace(next_id++, expected);
        --left;
      }
      std::vector<PlanSpan> plan;
      {
        const auto planned = scheduler.next_plan();
        plan.assign(planned.begin(), planned.end());
      }
      ASSERT_GE(ledger.free_blocks(), 0);
      std::int64_t used = 0, rows = 0;
      for (const PlanSpan& span : plan) {
        used += span.count;
        Expected& expected = all.at(span.id);
        const bool all_rows = span.kind == SpanKind::Decode || (span.kind == SpanKind::Prefill &&
                                                                span.first < expected.logits_until);
        rows += all_rows ? span.count : span.wants_logits;
        const CountingLedger::Request& request = ledger.of(span.id);
        if (expected.admissions != request.admissions) {
          if (expected.admissions == 0) {
            const std::int64_t bound = expected.bound + 2 * running + 2;
            EXPECT_LE(scheduler.steps() - expected.came, (overlap ? 4 : 1) * bound)
                << "seed " << seed << ", request " << span.id;
          }
          expected.admissions = request.admissions;
          expected.next = request.cached;
        }
        if (span.kind == SpanKind::Replay) {
          EXPECT_EQ(span.first + span.count, expected.next);
          continue;
        }
        EXPECT_EQ(span.first, expected.next) << "seed " << seed << ", request " << span.id;
        expected.next += span.count;
      }
      EXPECT_LE(used, limits.step_budget);
      EXPECT_LE(rows, limits.max_running + limits.spare_logits);
      ledger.run(plan);
      for (const PlanSpan& span : plan)
        if (overlap) ledger.of(span.id).busy = true;
      scheduler.begun();
      // The step before has ended, or this one if none overlap.
      std::set<RequestId> ended;
      if (overlap) {
        ended = std::exchange(busy, {});
        for (const PlanSpan& span : plan) busy.insert(span.id);
      } else {
        for (const PlanSpan& span : plan) ended.insert(span.id);
      }
      for (const PlanSpan& span : plan)
        if (span.wants_logits && all.at(span.id).waits && span.kind != SpanKind::Replay)
          verify[span.id] =
              span.count == 1 ? span.first + 1 : draw(span.first + 1, span.first + span.count);
      for (const RequestId id : ended) {
        const bool still_busy = busy.contains(id);
        if (!all.contains(id)) {
          if (!still_busy) leaving.erase(id);
          continue;
        }
        Expected& expected = all.at(id);
        ledger.of(id).busy = still_busy;
        if (const auto found = verify.find(id); found != verify.end() && !still_busy) {
          ledger.of(id).computed = expected.next = found->second;
          ledger.of(id).tokens = found->second + 1;
          scheduler.verified(id, found->second);
          verify.erase(found);
        }
        const std::int64_t answered = ledger.of(id).tokens - expected.prompt;
        if (answered >= expected.answer) {
          std::unique_ptr<Lease> lease = scheduler.end(id);
          if (!lease) lease = ledger.settle_lease(id);
          if (still_busy) leaving[id] = std::move(lease);
          all.erase(id);
          verify.erase(id);
          continue;
        }
        if (!still_busy && ledger.is_returning(id)) scheduler.returned(id, ledger.settle(id));
      }
    }
    EXPECT_TRUE(scheduler.idle());
    EXPECT_EQ(ledger.free_blocks(), blocks) << "seed " << seed;
  }
}

}  // namespace
}  // namespace millrace::testing
