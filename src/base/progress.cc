#include "base/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>

#include "base/units.h"

namespace millrace {
namespace {

using std::chrono::milliseconds;

std::atomic<bool> disabled = false;  // set once from main, before work starts

std::string amount(std::uint64_t value, Progress::Unit unit) {
  return unit == Progress::Unit::Bytes ? format_bytes(value) : fmt::format("{}", value);
}

}  // namespace

void Progress::disable_all() {
  disabled = true;
}

Progress::Progress(std::string label, std::uint64_t total, Unit unit)
    : label_(std::move(label)),
      total_(total),
      unit_(unit),
      terminal_(::isatty(STDERR_FILENO) == 1),
      start_(std::chrono::steady_clock::now()),
      last_draw_(start_) {}

Progress::~Progress() {
  const std::lock_guard lock(mutex_);
  if (drawn_) draw(true);
}

void Progress::advance(std::uint64_t by) {
  const std::lock_guard lock(mutex_);
  done_ += by;
  const auto now = std::chrono::steady_clock::now();
  if (disabled || now - start_ < milliseconds(300)) return;
  if (now - last_draw_ < (terminal_ ? milliseconds(100) : milliseconds(10'000))) return;
  last_draw_ = now;
  draw(false);
}

void Progress::set_total(std::uint64_t total) {
  const std::lock_guard lock(mutex_);
  total_ = total;
}

void Progress::draw(bool last) {
  drawn_ = true;
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start_;
  const double rate = static_cast<double>(done_) / std::max(elapsed.count(), 1e-9);
  std::string line = label_;
  if (total_ > 0) {
    const double share = std::min(1.0, static_cast<double>(done_) / static_cast<double>(total_));
    const auto filled = static_cast<std::size_t>(share * 24);
    line += fmt::format(" [{}{}] {:3.0f}%  {} / {}", std::string(filled, '#'),
                        std::string(24 - filled, '.'), share * 100, amount(done_, unit_),
                        amount(total_, unit_));
  } else {
    line += fmt::format("  {}", amount(done_, unit_));
  }
  line += fmt::format("  {}/s", amount(static_cast<std::uint64_t>(rate), unit_));
  if (last)
    line += fmt::format("  in {}", format_seconds(elapsed.count()));
  else if (total_ > done_ && rate > 0)
    line += fmt::format("  eta {}", format_seconds(static_cast<double>(total_ - done_) / rate));
  if (terminal_)
    fmt::print(stderr, "\r{}\033[K{}", line, last ? "\n" : "");
  else
    fmt::print(stderr, "{}\n", line);
  std::fflush(stderr);
}

}  // namespace millrace
