#include "cache/id_pool.h"

#include <gtest/gtest.h>

namespace millrace {
namespace {

TEST(IdPool, HandsOutEachIdOnceAndTakesItBack) {
  IdPool pool(2);
  auto a = pool.take();
  auto b = pool.take();
  ASSERT_TRUE(a && b);
  EXPECT_NE(a->id(), b->id());
  EXPECT_FALSE(pool.take().has_value());
  const auto id = a->id();
  a.reset();
  EXPECT_EQ(pool.free_count(), 1);
  EXPECT_EQ(pool.take()->id(), id);
}

TEST(IdPool, SharedIdIsFreedByTheLastReference) {
  IdPool pool(1);
  auto a = pool.take();
  {
    const IdRef second = a->share();
    EXPECT_TRUE(a->is_shared());
    a.reset();
    EXPECT_EQ(pool.free_count(), 0);
    EXPECT_FALSE(second.is_shared());
  }
  EXPECT_EQ(pool.free_count(), 1);
}

TEST(IdPool, AbortsOnALeak) {
  EXPECT_DEATH(
      {
        auto* leaked = new IdRef;
        IdPool pool(1);
        *leaked = std::move(*pool.take());
      },
      "references are out");
}

}  // namespace
}  // namespace millrace
