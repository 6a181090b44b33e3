// Tokens from the engine's step thread to the server's IO thread, without a lock between them.
//
//   step thread: callback -> post() -> node on a stack, one write to an eventfd if IO sleeps
//   IO thread:   eventfd readable -> takes the stack -> Job::updates, wakes the job's coroutine
//
// Nodes are recycled, so that once warm the step thread does not allocate for them.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "api/token_update.h"
#include "engine/engine.h"

namespace millrace::server {

// One request's answers. Belongs to the IO thread.
class Job {
 public:
  explicit Job(boost::asio::io_context& io) : signal_(io) {}

  std::vector<TokenUpdate> updates;  // arrived, not yet taken
  std::vector<Answer> answers;
  int open_answers = 0;                       // whose last update has not arrived
  Clock::time_point arrived = Clock::now();   // the request
  std::vector<Clock::time_point> last_token;  // a choice each; zero before the first
  bool gone = false;                          // nobody reads the answers any more

  // Returns when updates is not empty, or gone is set.
  boost::asio::awaitable<void> wait();
  void notify() { signal_.cancel(); }
  void cancel() {
    for (Answer& answer : answers) answer.cancel();
  }

 private:
  boost::asio::steady_timer signal_;
};

class TokenRelay {
 public:
  explicit TokenRelay(boost::asio::io_context& io);
  // The engine must be gone: nobody posts any more.
  ~TokenRelay();
  TokenRelay(const TokenRelay&) = delete;
  TokenRelay& operator=(const TokenRelay&) = delete;

  std::shared_ptr<Job> make_job() { return std::make_shared<Job>(io_); }

  // IO thread: submits an answer of the job, which the relay keeps alive until its last update.
  Status submit(Engine& engine, const std::shared_ptr<Job>& job, int choice, Request request);

  // Answers that are waiting or being made.
  std::int64_t open_answers() const { return open_answers_; }
  // Cancels every answer of every job.
  void cancel_all();
  // Stops waiting for the eventfd, so that the io_context may run out of work.
  void close();

 private:
  struct Node {
    Node* next = nullptr;
    std::uint64_t job = 0;
    TokenUpdate update;
  };

  // Step thread.
  void post(std::uint64_t tag, const TokenEvent& event);
  Node* take_free();
  // IO thread.
  boost::asio::awaitable<void> receive();
  void deliver_all();
  void recycle(Node* node);

  boost::asio::io_context& io_;
  boost::asio::posix::stream_descriptor wakeup_;
  std::unordered_map<std::uint64_t, std::shared_ptr<Job>> jobs_;
  std::unordered_map<Job*, std::uint64_t> ids_;
  std::uint64_t next_job_ = 1;
  std::int64_t open_answers_ = 0;

  alignas(64) std::atomic<Node*> inbox_ = nullptr;  // newest first
  alignas(64) std::atomic<Node*> free_ = nullptr;   // pushed by IO, popped by the step thread alone
  alignas(64) std::atomic<bool> awake_ = false;     // IO has been told and has not looked yet
};

}  // namespace millrace::server
