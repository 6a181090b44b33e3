#include "engine/step_timer.h"

#include <gtest/gtest.h>

#include "device/emulated/emulated_device.h"

namespace millrace {
namespace {

// A device whose clock goes on by what the test says.
struct Clock {
  double now = 0;
};

class SteppedEvent final : public TimedEvent {
 public:
  explicit SteppedEvent(const Clock& clock) : clock_(clock) {}
  void record(Stream&) override { at_ = clock_.now; }
  bool done() const override { return true; }
  void wait() const override {}
  double seconds_after(const TimedEvent& earlier) const override {
    return at_ - static_cast<const SteppedEvent&>(earlier).at_;
  }

 private:
  const Clock& clock_;
  double at_ = -1;
};

class NoStream final : public Stream {};

class SteppedDevice final : public Device {
 public:
  Clock clock;

  const DeviceTraits& traits() const override { return traits_; }
  DeviceBuffer allocate(std::size_t) override { return {}; }
  DeviceBuffer allocate_pinned(std::size_t) override { return {}; }
  bool uses_host_memory() const override { return false; }
  std::unique_ptr<Stream> make_stream() override { return std::make_unique<NoStream>(); }
  void copy_in(void*, const void*, std::size_t, Stream&) override {}
  void copy_out(void*, const void*, std::size_t, Stream&) override {}
  void copy_within(void*, const void*, std::size_t, Stream&) override {}
  void synchronize(Stream&) override {}
  std::unique_ptr<Event> make_event() override { return std::make_unique<ImmediateEvent>(); }
  std::unique_ptr<TimedEvent> make_timed_event() override {
    return std::make_unique<SteppedEvent>(clock);
  }
  std::unique_ptr<Graph> record(Stream&, const std::function<void()>&) override { return nullptr; }

 private:
  void release(void*, std::size_t, MemoryKind) noexcept override {}
  DeviceTraits traits_;
};

TEST(StepTimer, TellsWhenEachOfTwoStepsInFlightRan) {
  SteppedDevice device;
  const auto stream = device.make_stream();
  const auto timer = StepTimer::make(device, *stream);
  ASSERT_NE(timer, nullptr);
  device.clock.now = 1e-3;
  timer->begin();
  device.clock.now = 3e-3;
  timer->finish();
  std::int64_t end = 0;
  for (int step = 1; step < 20; ++step) {
    device.clock.now += 5e-6;  // and the next one waits for so long
    timer->begin();
    device.clock.now += 1e-3 * step;
    timer->finish();
    const StepTimer::Time time = timer->take();  // of the one before
    EXPECT_EQ(time.end_ns - time.begin_ns, step == 1 ? 2'000'000 : 1'000'000 * (step - 1));
    if (step > 1) {
      EXPECT_EQ(time.begin_ns - end, 5'000);
    }
    end = time.end_ns;
  }
  // Steps that came to nothing.
  timer->begin();
  device.clock.now += 7;
  timer->restart();
  timer->begin();
  device.clock.now += 1e-3;
  timer->finish();
  const StepTimer::Time time = timer->take();
  EXPECT_EQ(time.end_ns - time.begin_ns, 1'000'000);
}

TEST(StepTimer, IsNotThereWhereTheHostsTimesAreTheDevices) {
  const auto device = make_emulated_device();
  const auto stream = device->make_stream();
  EXPECT_EQ(StepTimer::make(*device, *stream), nullptr);
}

}  // namespace
}  // namespace millrace
