#include "engine/step_timer.h"

#include <chrono>
#include <cmath>

namespace millrace {
namespace {

std::int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::int64_t to_ns(double seconds) {
  return std::llround(seconds * 1e9);
}

}  // namespace

std::unique_ptr<StepTimer> StepTimer::make(Device& device, Stream& stream) {
  std::array<Events, kKept> events;
  for (Events& each : events) each = {device.make_timed_event(), device.make_timed_event()};
  if (!events.front().begin) return nullptr;
  return std::unique_ptr<StepTimer>(new StepTimer(stream, std::move(events)));
}

StepTimer::StepTimer(Stream& stream, std::array<Events, kKept> events)
    : stream_(stream), events_(std::move(events)) {
  restart();
}

void StepTimer::restart() {
  taken_ = finished_ = begun_;
  TimedEvent& now = *of(begun_ + kKept - 1).end;  // the last to be used again
  now.record(stream_);
  now.wait();
  last_ = &now;
  last_ns_ = now_ns();
}

StepTimer::Time StepTimer::take() {
  const Events& events = of(taken_++);
  Time time;
  time.begin_ns = last_ns_ + to_ns(events.begin->seconds_after(*last_));
  time.end_ns = time.begin_ns + to_ns(events.end->seconds_after(*events.begin));
  last_ = events.end.get();
  last_ns_ = time.end_ns;
  return time;
}

}  // namespace millrace
