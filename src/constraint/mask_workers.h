// Walks answers on and fills their masks on threads of its own, beside the engine's. Whoever waits
// for a mask works too.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "constraint/constraint.h"

namespace millrace {

// One answer's constraint, as an engine's thread holds it. Between MaskWorkers::post() and wait()
// nothing else of it may be touched, and it must stay.
struct MaskJob {
  explicit MaskJob(std::shared_ptr<const Constraint> constraint);

  std::vector<std::uint32_t> words;  // the mask, where `binds`
  ConstraintState state;
  std::optional<TokenId> token;  // to be accepted first
  bool accepted = true;          // it was
  bool binds = false;            // the next token
  std::atomic<bool> done = true;
};

class MaskWorkers {
 public:
  // At most `capacity` jobs are posted and not waited for.
  MaskWorkers(int threads, std::size_t capacity);
  ~MaskWorkers();
  MaskWorkers(const MaskWorkers&) = delete;
  MaskWorkers& operator=(const MaskWorkers&) = delete;

  // Both from one thread; neither allocates or locks.
  void post(MaskJob& job);
  void wait(MaskJob& job);

 private:
  void work();
  // Takes a job from the ring and does it; false if there is none.
  bool run_one();

  std::vector<std::atomic<MaskJob*>> ring_;
  std::atomic<std::uint32_t> posted_ = 0;
  std::atomic<std::uint32_t> taken_ = 0;
  std::atomic<bool> stop_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace millrace
