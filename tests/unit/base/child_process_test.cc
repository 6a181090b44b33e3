#include "base/child_process.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

TEST(ChildProcess, BothOutputsAndTheStatusComeBack) {
  const auto done = run_child({"sh", "-c", "echo out; echo error >&2; exit 7"});
  ASSERT_TRUE(done);
  EXPECT_EQ(done->out, "out\n");
  EXPECT_EQ(done->error, "error\n");
  EXPECT_EQ(done->status, 7);
}

TEST(ChildProcess, MoreThanAPipeHolds) {
  const auto done = run_child(
      {"sh", "-c", "i=0; while [ $i -lt 40000 ]; do echo $i; echo $i >&2; i=$((i + 1)); done"});
  ASSERT_TRUE(done);
  EXPECT_EQ(done->out, done->error);
  EXPECT_TRUE(done->out.ends_with("\n39999\n"));
}

TEST(ChildProcess, ItReadsNothing) {
  const auto done = run_child({"cat"});
  ASSERT_TRUE(done);
  EXPECT_EQ(done->out, "");
}

TEST(ChildProcess, ASignalIsAStatus) {
  const auto done = run_child({"sh", "-c", "kill -KILL $$"});
  ASSERT_TRUE(done);
  EXPECT_EQ(done->status, 128 + 9);
}

TEST(ChildProcess, WhatIsNotThere) {
  const auto done = run_child({"/no/such/program"});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::NotFound);
  EXPECT_NE(done.error().message.find("/no/such/program"), std::string::npos);
}

TEST(ChildProcess, OneThatWritesWithoutEnd) {
  const auto done = run_child({"yes"});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::TooLarge);
}

}  // namespace
}  // namespace millrace
