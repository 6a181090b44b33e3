// The host layer for AMD GPUs over a double of the runtime: memory, order of work, failures.
#include "device/hip/hip_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <thread>

#include "device/hip/hip_stream.h"
#include "tests/support/hip_double.h"

// What the compiler writes into every object with GPU code: see hip_kernels.cc.
extern "C" {
void** __hipRegisterFatBinary(const void* data);
void __hipRegisterFunction(void** image, const void* host_function, char* device_function,
                           const char* device_name, unsigned thread_limit, void* thread_id,
                           void* block_id, void* block_extent, void* grid_extent, int* wave_size);
}

namespace millrace::hip {
namespace {

using ::testing::HasSubstr;
using testing::HipDouble;
using ::testing::IsEmpty;

constexpr std::size_t kMiB = std::size_t{1} << 20;

// One "source" with one kernel, announced as static constructors of compiled code do.
void add_one(float*, int) {}
const void* const kAddOne = reinterpret_cast<const void*>(&add_one);
struct Announcement {
  Announcement() {
    static const struct {
      unsigned magic = 0x48495046, version = 1;
      const void* bundle = "code";
      const void* unused = nullptr;
    } kWrapper;
    void** image = __hipRegisterFatBinary(&kWrapper);
    char name[] = "add_one";
    __hipRegisterFunction(image, kAddOne, name, "add_one", 0, nullptr, nullptr, nullptr, nullptr,
                          nullptr);
  }
} const kAnnouncement;

class HipDeviceTest : public ::testing::Test {
 protected:
  ~HipDeviceTest() override {
    if (!runtime_) return;
    EXPECT_EQ(runtime_->alive(), 0u) << "something outlives the device";
    EXPECT_THAT(runtime_->faults(), IsEmpty());
  }

  void start(HipDouble::Options options = {}) {
    runtime_.emplace(std::move(options));
    runtime_->define("add_one", {sizeof(float*), sizeof(int)}, [](const HipDouble::Launch& launch) {
      float* values = launch.argument<float*>(0);
      for (int i = 0; i < launch.argument<int>(1); ++i) values[i] += 1;
    });
  }
  Result<std::unique_ptr<Device>> open(int index = 0) {
    return make_device(runtime_->api(), index);
  }
  std::unique_ptr<Device> device(int index = 0) {
    Result<std::unique_ptr<Device>> made = open(index);
    EXPECT_TRUE(made) << made.error().message;
    return std::move(*made);
  }
  // Queues values[i] += 1.
  static void add_one_to(float* values, int count, Stream& stream) {
    void* parameters[] = {&values, &count};
    static_cast<HipStream&>(stream).launch(kAddOne, {{1, 1, 1}, {64, 1, 1}, 0}, parameters);
  }
  std::string error_of(const std::function<void()>& call) {
    try {
      call();
    } catch (const DeviceError& error) {
      return error.what();
    }
    return "no error";
  }

  std::optional<HipDouble> runtime_;
};

TEST_F(HipDeviceTest, SaysWhatTheGpuIs) {
  start({.devices = 2, .memory = 192 * kMiB, .multiprocessors = 304});
  const auto gpu = device(1);
  EXPECT_EQ(gpu->traits().backend, Backend::Hip);
  EXPECT_EQ(gpu->traits().name, "AMD Instinct MI300X");
  EXPECT_EQ(gpu->traits().arch, 942);
  EXPECT_EQ(gpu->traits().parallelism, 304);
  EXPECT_EQ(gpu->traits().memory_bytes, static_cast<std::int64_t>(192 * kMiB));
  EXPECT_FALSE(gpu->uses_host_memory());
}

TEST_F(HipDeviceTest, AGpuOfAnotherKindIsNamed) {
  start({.name = "AMD Radeon PRO W7900", .arch = "gfx1100"});
  EXPECT_EQ(open().error().message,
            "GPU 0: found 'AMD Radeon PRO W7900' (gfx1100), expected gfx942 or gfx950");
}

TEST_F(HipDeviceTest, NoGpuAndAWrongIndexAreNamed) {
  start({.devices = 0});
  EXPECT_EQ(open().error().message, "no AMD GPU can be used: none is installed");
  runtime_.reset();
  start({.devices = 2});
  EXPECT_EQ(open(2).error().message, "GPU 2: expected 0 to 1");
  EXPECT_EQ(open(-1).error().code, ErrorCode::InvalidArgument);
  runtime_->fail("hipGetDeviceCount", 100);
  EXPECT_EQ(open().error().message, "no AMD GPU can be used: as the test asked");
}

TEST_F(HipDeviceTest, APropertyThatCannotBeIsRefused) {
  start({.multiprocessors = 0});
  EXPECT_EQ(open().error().message, "GPU 0: found 0 multiprocessors");
}

TEST_F(HipDeviceTest, MemoryIsZeroAndAligned) {
  start();
  const auto gpu = device();
  const auto stream = gpu->make_stream();
  for (const std::size_t bytes : {std::size_t{1}, std::size_t{1000}, 3 * kMiB}) {
    const DeviceBuffer buffer = gpu->allocate(bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer.as<void>()) % 256, 0u);
    std::vector<std::byte> seen(bytes, std::byte{1});
    gpu->copy_out(seen.data(), buffer.as<void>(), bytes, *stream);
    gpu->synchronize(*stream);
    EXPECT_EQ(std::count(seen.begin(), seen.end(), std::byte{0}), static_cast<long>(bytes));
  }
  EXPECT_EQ(gpu->allocate(0).as<void>(), nullptr);
}

TEST_F(HipDeviceTest, FreedMemoryIsUsedAgainAndZeroAgain) {
  start();
  const auto gpu = device();
  const auto stream = gpu->make_stream();
  void* first = nullptr;
  {
    const DeviceBuffer buffer = gpu->allocate(8 * kMiB);
    first = buffer.as<void>();
    const std::vector<char> ones(100, 1);
    gpu->copy_in(first, ones.data(), ones.size(), *stream);
    gpu->synchronize(*stream);
  }
  const int calls = runtime_->calls("hipMalloc");
  const DeviceBuffer again = gpu->allocate(8 * kMiB - 5);
  EXPECT_EQ(again.as<void>(), first);
  EXPECT_EQ(runtime_->calls("hipMalloc"), calls);
  EXPECT_EQ(runtime_->calls("hipFree"), 0);
  EXPECT_EQ(std::memcmp(again.as<char>(), std::string(100, '\0').data(), 100), 0);
}

TEST_F(HipDeviceTest, KeptMemoryIsGivenBackWhenItIsShort) {
  start({.memory = 10 * kMiB});
  const auto gpu = device();
  gpu->allocate(6 * kMiB);  // freed at once: kept by the pool
  EXPECT_GE(runtime_->bytes_on(0), 6 * kMiB);
  const DeviceBuffer large = gpu->allocate(9 * kMiB);
  EXPECT_NE(large.as<void>(), nullptr);
  EXPECT_EQ(runtime_->calls("hipFree"), 1);
}

TEST_F(HipDeviceTest, NoMemoryIsBadAllocAndLeavesNoErrorBehind) {
  start({.memory = 10 * kMiB});
  const auto gpu = device();
  EXPECT_THROW(gpu->allocate(20 * kMiB), std::bad_alloc);
  EXPECT_THROW(gpu->allocate(SIZE_MAX - 1), std::bad_alloc);
  EXPECT_EQ(runtime_->last_error(), kSuccess);
  EXPECT_NE(gpu->allocate(5 * kMiB).as<void>(), nullptr);
}

TEST_F(HipDeviceTest, OtherFailuresOfMemoryAreNamedAndLeakNothing) {
  start();
  const auto gpu = device();
  runtime_->fail("hipMalloc", 999);
  EXPECT_EQ(error_of([&] { gpu->allocate(100); }),
            "GPU memory: hipErrorUnknown (as the test asked)");
  runtime_->fail("hipMemsetAsync", kErrorInvalidValue);
  EXPECT_EQ(error_of([&] { gpu->allocate(100); }),
            "clearing GPU memory: hipErrorInvalidValue (as the test asked)");
  runtime_->fail("hipHostMalloc", kErrorOutOfMemory);
  EXPECT_EQ(error_of([&] { gpu->allocate_pinned(100); }),
            "page-locked host memory: hipErrorOutOfMemory (out of memory)");
  runtime_->fail("hipStreamCreateWithFlags", 999);
  EXPECT_THAT(error_of([&] { gpu->make_stream(); }), HasSubstr("a new HIP stream"));
  runtime_->fail("hipEventCreateWithFlags", 999);
  EXPECT_THAT(error_of([&] { gpu->make_event(); }), HasSubstr("a new HIP event"));
}

TEST_F(HipDeviceTest, PinnedMemoryIsZeroAndGoesBackToTheHost) {
  start();
  const auto gpu = device();
  {
    const DeviceBuffer buffer = gpu->allocate_pinned(5000);
    EXPECT_EQ(std::count(buffer.as<char>(), buffer.as<char>() + 5000, 0), 5000);
    EXPECT_EQ(runtime_->bytes_on(-1), 5000u);
  }
  EXPECT_EQ(runtime_->calls("hipHostFree"), 1);
  EXPECT_EQ(runtime_->bytes_on(-1), 0u);
}

TEST_F(HipDeviceTest, AStreamsWorkIsDoneInOrderAndNotBeforeItMust) {
  start();
  const auto gpu = device();
  const auto stream = gpu->make_stream();
  const DeviceBuffer buffer = gpu->allocate(4 * sizeof(float));
  std::vector<float> in = {1, 2, 3, 4}, out(4, -1);
  gpu->copy_in(buffer.as<void>(), in.data(), 16, *stream);
  add_one_to(buffer.as<float>(), 4, *stream);
  add_one_to(buffer.as<float>(), 2, *stream);
  gpu->copy_out(out.data(), buffer.as<void>(), 16, *stream);
  EXPECT_EQ(runtime_->pending(), 4u);
  EXPECT_THAT(out, ::testing::Each(-1));
  gpu->synchronize(*stream);
  EXPECT_THAT(out, ::testing::ElementsAre(3, 4, 4, 5));
}

TEST_F(HipDeviceTest, CopiesWithinTheDeviceKeepTheOrderToo) {
  start();
  const auto gpu = device();
  const auto stream = gpu->make_stream();
  const DeviceBuffer buffer = gpu->allocate(4 * sizeof(float));
  std::vector<float> out(4);
  add_one_to(buffer.as<float>(), 2, *stream);
  gpu->copy_within(buffer.as<float>() + 2, buffer.as<float>(), 8, *stream);
  add_one_to(buffer.as<float>(), 1, *stream);
  gpu->copy_out(out.data(), buffer.as<void>(), 16, *stream);
  gpu->synchronize(*stream);
  EXPECT_THAT(out, ::testing::ElementsAre(2, 1, 1, 1));
}

TEST_F(HipDeviceTest, StreamsDoNotWaitForEachOther) {
  start();
  const auto gpu = device();
  const auto first = gpu->make_stream(), second = gpu->make_stream();
  const DeviceBuffer buffer = gpu->allocate(2 * sizeof(float));
  add_one_to(buffer.as<float>(), 1, *first);
  add_one_to(buffer.as<float>() + 1, 1, *second);
  gpu->synchronize(*second);
  EXPECT_EQ(runtime_->pending(), 1u);
  gpu->synchronize(*first);
}

TEST_F(HipDeviceTest, AnEventIsThePointOfAStreamWhereItWasRecorded) {
  start();
  const auto gpu = device();
  const auto stream = gpu->make_stream();
  const auto event = gpu->make_event();
  const DeviceBuffer buffer = gpu->allocate(sizeof(float));
  EXPECT_TRUE(event->done());
  add_one_to(buffer.as<float>(), 1, *stream);
  event->record(*stream);
  add_one_to(buffer.as<float>(), 1, *stream);
  EXPECT_FALSE(event->done());
  event->wait();
  EXPECT_TRUE(event->done());
  EXPECT_EQ(runtime_->pending(), 1u) << "a wait for more than was asked";
  runtime_->fail("hipEventQuery", 700);
  EXPECT_EQ(error_of([&] { event->done(); }),
            "work on the GPU: hipErrorUnknown (as the test asked)");
}

TEST_F(HipDeviceTest, TimedEventsKnowHowFarTheyAreApart) {
  start();
  const auto gpu = device();
  const auto stream = gpu->make_stream();
  const auto before = gpu->make_timed_event();
  const auto after = gpu->make_timed_event();
  const DeviceBuffer buffer = gpu->allocate(sizeof(float));
  before->record(*stream);
  for (int i = 0; i < 3; ++i) add_one_to(buffer.as<float>(), 1, *stream);
  after->record(*stream);
  after->wait();
  EXPECT_FLOAT_EQ(static_cast<float>(after->seconds_after(*before)), 3e-3f);
  runtime_->fail("hipEventElapsedTime", 700);
  EXPECT_EQ(error_of([&] { after->seconds_after(*before); }),
            "the time between events: hipErrorUnknown (as the test asked)");
}

TEST_F(HipDeviceTest, AGraphIsRecordedOnceAndRunsAsOftenAsItIsLaunched) {
  start();
  const auto gpu = device();
  const auto stream = gpu->make_stream();
  const DeviceBuffer buffer = gpu->allocate(3 * sizeof(float));
  const auto graph = gpu->record(*stream, [&] {
    add_one_to(buffer.as<float>(), 3, *stream);
    add_one_to(buffer.as<float>(), 1, *stream);
  });
  EXPECT_EQ(runtime_->pending(), 0u) << "recording runs nothing";
  for (int i = 0; i < 3; ++i) graph->launch(*stream);
  std::vector<float> out(3);
  gpu->copy_out(out.data(), buffer.as<void>(), 12, *stream);
  gpu->synchronize(*stream);
  EXPECT_THAT(out, ::testing::ElementsAre(6, 3, 3));
}

TEST_F(HipDeviceTest, AFailureWhileRecordingEndsTheRecording) {
  start();
  const auto gpu = device();
  const auto stream = gpu->make_stream();
  const DeviceBuffer buffer = gpu->allocate(sizeof(float));
  runtime_->fail("hipModuleLaunchKernel", kErrorInvalidValue, 1);
  EXPECT_EQ(error_of([&] {
              gpu->record(*stream, [&] {
                add_one_to(buffer.as<float>(), 1, *stream);
                add_one_to(buffer.as<float>(), 1, *stream);
              });
            }),
            "a kernel launch: hipErrorInvalidValue (as the test asked)");
  for (const char* function : {"hipGraphInstantiateWithFlags", "hipStreamBeginCapture"}) {
    runtime_->fail(function, 999);
    EXPECT_THAT(error_of([&] { gpu->record(*stream, [] {}); }), HasSubstr("HIP graph"));
  }
  // And the stream is as good as before.
  add_one_to(buffer.as<float>(), 1, *stream);
  gpu->synchronize(*stream);
  EXPECT_EQ(*buffer.as<float>(), 1);
}

TEST_F(HipDeviceTest, FailuresOfQueuedWorkAreNamed) {
  start();
  const auto gpu = device();
  const auto stream = gpu->make_stream();
  const DeviceBuffer buffer = gpu->allocate(16);
  float host[4] = {};
  runtime_->fail("hipMemcpyAsync", 999, 0);
  EXPECT_THAT(error_of([&] { gpu->copy_in(buffer.as<void>(), host, 16, *stream); }),
              HasSubstr("a copy to the GPU"));
  runtime_->fail("hipMemcpyAsync", 999, 0);
  EXPECT_THAT(error_of([&] { gpu->copy_out(host, buffer.as<void>(), 16, *stream); }),
              HasSubstr("a copy from the GPU"));
  runtime_->fail("hipStreamSynchronize", 700);
  EXPECT_THAT(error_of([&] { gpu->synchronize(*stream); }), HasSubstr("work on the GPU"));
}

TEST_F(HipDeviceTest, ArgumentsAreCopiedWhenAKernelIsQueued) {
  start();
  const auto gpu = device();
  const auto stream = gpu->make_stream();
  const DeviceBuffer buffer = gpu->allocate(4 * sizeof(float));
  {
    auto values = std::make_unique<float*>(buffer.as<float>());
    auto count = std::make_unique<int>(4);
    void* parameters[] = {values.get(), count.get()};
    static_cast<HipStream&>(*stream).launch(kAddOne, {{1, 1, 1}, {64, 1, 1}, 0}, parameters);
  }
  gpu->synchronize(*stream);
  EXPECT_EQ(buffer.as<float>()[3], 1);
}

TEST_F(HipDeviceTest, CodeThatCannotBeLoadedIsNamedAndLeavesNothing) {
  start();
  for (const char* function :
       {"hipModuleLoadData", "hipModuleGetFunction", "hipStreamCreateWithFlags", "hipSetDevice"}) {
    runtime_->fail(function, 209);
    const auto made = open();
    ASSERT_FALSE(made) << function;
    EXPECT_EQ(made.error().code, ErrorCode::Unavailable);
    EXPECT_THAT(made.error().message, HasSubstr("hipErrorUnknown")) << function;
    EXPECT_EQ(runtime_->alive(), 0u) << function;
  }
  runtime_->fail("hipModuleGetFunction", 500);
  EXPECT_THAT(open().error().message, HasSubstr("add_one"));
}

TEST_F(HipDeviceTest, EveryThreadsMemoryLiesOnItsDevice) {
  start({.devices = 2});
  const auto first = device(0), second = device(1);
  DeviceBuffer there, here;
  std::thread([&] { there = second->allocate(3 * kMiB); }).join();
  here = first->allocate(1 * kMiB);
  EXPECT_GE(runtime_->bytes_on(1), 3 * kMiB);
  EXPECT_GE(runtime_->bytes_on(0), 1 * kMiB);
  EXPECT_LT(runtime_->bytes_on(0), 3 * kMiB);
}

TEST_F(HipDeviceTest, SeveralThreadsMayAllocateAtOnce) {
  start();
  const auto gpu = device();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 50; ++i) {
        const DeviceBuffer buffer = gpu->allocate(1000 * static_cast<std::size_t>(t + 1));
        EXPECT_EQ(buffer.as<char>()[999], 0);
      }
    });
  for (std::thread& thread : threads) thread.join();
}

TEST_F(HipDeviceTest, AThreadThatQueuesWorkChoosesItsDevice) {
  start({.devices = 2});
  const auto gpu = device(1);
  std::thread([&] {
    EXPECT_EQ(HipDouble::current_device(), 0);
    gpu->use_on_this_thread();
    EXPECT_EQ(HipDouble::current_device(), 1);
  }).join();
}

TEST_F(HipDeviceTest, AKernelWithoutCodeAborts) {
  start();
  const auto gpu = device();
  const auto stream = gpu->make_stream();
  EXPECT_DEATH(
      static_cast<HipStream&>(*stream).launch(&runtime_, {{1, 1, 1}, {1, 1, 1}, 0}, nullptr),
      "a kernel that was launched is in no GPU code image");
}

TEST(HipArch, IsTheNumberOfAGfxName) {
  EXPECT_EQ(arch_of("gfx942:sramecc+:xnack-"), 942);
  EXPECT_EQ(arch_of("gfx950"), 950);
  for (const char* other : {"", "gfx", "gfx90a", "sm_90", "gfx942x", "942"})
    EXPECT_EQ(arch_of(other), 0) << other;
}

}  // namespace
}  // namespace millrace::hip
