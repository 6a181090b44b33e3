// A progress bar on standard error for work a person waits for.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

namespace millrace {

// Draws "label [#####.....]  42%  1.2 GiB / 2.3 GiB  310 MiB/s  eta 4s" at most ten times a
// second when standard error is a terminal; prints one line every ten seconds when it is not.
// Thread-safe. Nothing is drawn before the work has lasted 300 ms, so short work stays silent.
class Progress {
 public:
  enum class Unit { Bytes, Items };

  // total 0: unknown; the bar then shows a count and a rate.
  Progress(std::string label, std::uint64_t total, Unit unit = Unit::Bytes);
  ~Progress();  // leaves the finished line, or nothing if it was never drawn
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void advance(std::uint64_t amount);
  void set_total(std::uint64_t total);

  // For --quiet and for tests.
  static void disable_all();

 private:
  void draw(bool last);

  std::mutex mutex_;
  std::string label_;
  std::uint64_t total_;
  std::uint64_t done_ = 0;
  Unit unit_;
  bool terminal_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point last_draw_;
};

}  // namespace millrace
