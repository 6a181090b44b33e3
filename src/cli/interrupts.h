// What Ctrl-C does: it ends the program, but for work that is stopped in good order.
#pragma once

#include <atomic>
#include <csignal>
#include <thread>

namespace millrace::cli {

// SIGINT alone.
sigset_t interrupt_set();

// Keeps Ctrl-C from ending the process: whoever waits for it gets it. Call before threads start, so
// that they inherit it.
void block_interrupts();

// While it lives, Ctrl-C raises a flag. One at a time; for threads that do not block interrupts.
class InterruptFlag {
 public:
  InterruptFlag();
  ~InterruptFlag();
  InterruptFlag(const InterruptFlag&) = delete;
  InterruptFlag& operator=(const InterruptFlag&) = delete;

  const std::atomic<bool>* get() const;

 private:
  struct sigaction before_ = {};
};

// While it lives, blocked interrupts end the program all the same: for long work that holds nothing
// worth keeping.
class InterruptsEndProgram {
 public:
  InterruptsEndProgram();
  ~InterruptsEndProgram();
  InterruptsEndProgram(const InterruptsEndProgram&) = delete;
  InterruptsEndProgram& operator=(const InterruptsEndProgram&) = delete;

 private:
  std::atomic<bool> over_ = false;
  std::thread watcher_;
};

}  // namespace millrace::cli
