// When a device worked on each step, on the host's clock: for the trace.
#pragma once

#include <array>
#include <cstdint>
#include <memory>

#include "device/device.h"

namespace millrace {

// Steps are begun, finished and taken in the same order; at most kKept - 1 of them are begun and
// not taken. Only make() and restart() wait for the device. Times are right to about a microsecond
// from step to step; over hours they may drift from the host's.
class StepTimer {
 public:
  static constexpr std::uint64_t kKept = 3;

  struct Time {
    std::int64_t begin_ns = 0;  // of the steady clock
    std::int64_t end_ns = 0;
  };

  // Null where the device has no times of its own: there the host's are the device's.
  static std::unique_ptr<StepTimer> make(Device& device, Stream& stream);

  // What is queued on the stream from here is the step's ...
  void begin() { of(begun_++).begin->record(stream_); }
  // ... until here.
  void finish() { of(finished_++).end->record(stream_); }
  // Of the oldest one, whose work is done.
  Time take();
  // Forgets those that were not taken.
  void restart();

 private:
  struct Events {
    std::unique_ptr<TimedEvent> begin, end;
  };
  StepTimer(Stream& stream, std::array<Events, kKept> events);
  Events& of(std::uint64_t step) { return events_[step % kKept]; }

  Stream& stream_;
  std::array<Events, kKept> events_;
  std::uint64_t begun_ = 0, finished_ = 0, taken_ = 0;
  const TimedEvent* last_ = nullptr;  // whose time on the host's clock is known
  std::int64_t last_ns_ = 0;
};

}  // namespace millrace
