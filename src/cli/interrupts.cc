#include "cli/interrupts.h"

#include <fmt/format.h>
#include <pthread.h>

#include <cstdlib>

#include "base/error.h"

namespace millrace::cli {
namespace {

std::atomic<bool> raised = false;  // a signal handler can reach nothing else

}  // namespace

sigset_t interrupt_set() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  return set;
}

void block_interrupts() {
  const sigset_t set = interrupt_set();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

InterruptFlag::InterruptFlag() {
  raised = false;
  struct sigaction action = {};
  action.sa_handler = [](int) { raised = true; };
  ::sigaction(SIGINT, &action, &before_);
}

InterruptFlag::~InterruptFlag() {
  ::sigaction(SIGINT, &before_, nullptr);
}

const std::atomic<bool>* InterruptFlag::get() const {
  return &raised;
}

InterruptsEndProgram::InterruptsEndProgram()
    : watcher_([this] {
        const sigset_t set = interrupt_set();
        int signal = 0;
        sigwait(&set, &signal);
        if (over_) return;
        fmt::print(stderr, "\nmillrace: interrupted\n");
        std::_Exit(exit_status(ErrorCode::Cancelled));
      }) {}

InterruptsEndProgram::~InterruptsEndProgram() {
  over_ = true;
  pthread_kill(watcher_.native_handle(), SIGINT);  // wakes the watcher and nobody else
  watcher_.join();
}

}  // namespace millrace::cli
