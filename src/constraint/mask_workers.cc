#include "constraint/mask_workers.h"

#include <bit>

#include "base/check.h"

namespace millrace {

MaskJob::MaskJob(std::shared_ptr<const Constraint> constraint)
    : words(static_cast<std::size_t>(mask_words(constraint->vocab))),
      state(std::move(constraint)) {}

// A power of two, so that counts may wrap.
MaskWorkers::MaskWorkers(int threads, std::size_t capacity) : ring_(std::bit_ceil(capacity)) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

MaskWorkers::~MaskWorkers() {
  stop_ = true;
  posted_.fetch_add(1);  // no job: they look at stop_ first
  posted_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void MaskWorkers::post(MaskJob& job) {
  const std::uint32_t at = posted_.load(std::memory_order_relaxed);
  check(at - taken_.load(std::memory_order_acquire) < ring_.size(), "too many masks are wanted");
  job.done.store(false, std::memory_order_relaxed);
  ring_[at % ring_.size()].store(&job, std::memory_order_relaxed);
  posted_.store(at + 1, std::memory_order_release);
  posted_.notify_one();
}

void MaskWorkers::wait(MaskJob& job) {
  while (!job.done.load(std::memory_order_acquire))
    if (!run_one()) job.done.wait(false, std::memory_order_acquire);
}

bool MaskWorkers::run_one() {
  std::uint32_t at = taken_.load(std::memory_order_acquire);
  MaskJob* job = nullptr;
  do {
    if (at == posted_.load(std::memory_order_acquire)) return false;
    // Another's by now if taken_ has moved on; then the exchange fails.
    job = ring_[at % ring_.size()].load(std::memory_order_relaxed);
  } while (!taken_.compare_exchange_weak(at, at + 1, std::memory_order_acq_rel,
                                         std::memory_order_acquire));
  if (job->token) job->accepted = job->state.accept(*job->token);
  job->token.reset();
  job->binds = job->accepted && job->state.binds();
  if (job->binds) job->state.fill(job->words);
  job->done.store(true, std::memory_order_release);
  job->done.notify_all();
  return true;
}

void MaskWorkers::work() {
  while (true) {
    const std::uint32_t seen = posted_.load(std::memory_order_acquire);
    if (stop_) return;
    if (!run_one()) posted_.wait(seen, std::memory_order_acquire);
  }
}

}  // namespace millrace
