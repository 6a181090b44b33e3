#include "server/token_relay.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <system_error>

#include "base/check.h"

namespace millrace::server {
namespace asio = boost::asio;
namespace {

// A tag is a job's number and a choice's, small enough for std::function to keep it in place.
constexpr int kChoiceBits = 20;

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

int make_eventfd() {
  const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (fd < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
  return fd;
}

}  // namespace

asio::awaitable<void> Job::wait() {
  while (updates.empty() && !gone) {
    signal_.expires_at(Clock::time_point::max());
    co_await signal_.async_wait(kAwait);
  }
}

TokenRelay::TokenRelay(asio::io_context& io) : io_(io), wakeup_(io, make_eventfd()) {
  asio::co_spawn(io, receive(), asio::detached);
}

TokenRelay::~TokenRelay() {
  for (auto* list : {&inbox_, &free_})
    for (Node* node = list->load(); node;) {
      Node* next = node->next;
      delete node;
      node = next;
    }
}

Status TokenRelay::submit(Engine& engine, const std::shared_ptr<Job>& job, int choice,
                          Request request) {
  check(choice >= 0 && choice < (1 << kChoiceBits), "too many choices in a job");
  std::uint64_t& id = ids_[job.get()];
  if (id == 0) {
    id = next_job_++;
    jobs_.emplace(id, job);
  }
  const std::uint64_t tag = id << kChoiceBits | static_cast<std::uint64_t>(choice);
  auto answer =
      engine.submit(std::move(request), [this, tag](const TokenEvent& event) { post(tag, event); });
  if (answer) {
    job->answers.push_back(std::move(*answer));
    ++job->open_answers;
    ++open_answers_;
    return {};
  }
  if (job->open_answers == 0) {
    jobs_.erase(id);
    ids_.erase(job.get());
  }
  return tl::unexpected(answer.error());
}

TokenRelay::Node* TokenRelay::take_free() {
  Node* node = free_.load(std::memory_order_acquire);
  // Only this thread pops: a node cannot leave and come back in between.
  while (node && !free_.compare_exchange_weak(node, node->next, std::memory_order_acquire)) {
  }
  return node ? node : new Node;
}

void TokenRelay::post(std::uint64_t tag, const TokenEvent& event) {
  Node* node = take_free();
  node->job = tag >> kChoiceBits;
  TokenUpdate& update = node->update;
  update.choice = static_cast<int>(tag & ((1u << kChoiceBits) - 1));
  update.token = event.token;
  update.text = event.text;
  update.finish = event.finish;
  update.prompt_logprobs = event.prompt_logprobs;
  if (event.completion) {
    update.error = event.completion->error;
    update.stop_string = event.completion->stop_string;
    update.usage = event.completion->usage;
    update.embedding = event.completion->embedding;
  }
  update.at = Clock::now();
  node->next = inbox_.load(std::memory_order_relaxed);
  while (!inbox_.compare_exchange_weak(node->next, node, std::memory_order_seq_cst,
                                       std::memory_order_relaxed)) {
  }
  if (awake_.exchange(true)) return;
  const std::uint64_t one = 1;
  (void)!::write(wakeup_.native_handle(), &one, sizeof one);  // cannot block: the count is tiny
}

asio::awaitable<void> TokenRelay::receive() {
  while (true) {
    std::uint64_t count = 0;
    const auto [error, read] =
        co_await wakeup_.async_read_some(asio::buffer(&count, sizeof count), kAwait);
    (void)read;
    if (error) co_return;
    deliver_all();
  }
}

void TokenRelay::deliver_all() {
  // Lowered before looking: a post that this look misses writes the eventfd again.
  awake_.store(false);
  Node* newest = inbox_.exchange(nullptr);
  Node* oldest = nullptr;
  while (newest) {
    Node* next = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = next;
  }
  while (oldest) {
    Node* node = std::exchange(oldest, oldest->next);
    const auto found = jobs_.find(node->job);
    check(found != jobs_.end(), "a token for a job that has ended");
    Job& job = *found->second;
    const bool last = node->update.finish.has_value();
    if (!job.gone) {
      job.updates.push_back(std::move(node->update));
      job.notify();
    }
    open_answers_ -= last;
    if (last && --job.open_answers == 0) {
      ids_.erase(&job);
      jobs_.erase(found);
    }
    recycle(node);
  }
}

void TokenRelay::recycle(Node* node) {
  node->update.text.clear();
  node->update.prompt_logprobs.reset();
  node->next = free_.load(std::memory_order_relaxed);
  while (!free_.compare_exchange_weak(node->next, node, std::memory_order_release,
                                      std::memory_order_relaxed)) {
  }
}

void TokenRelay::cancel_all() {
  for (const auto& [id, job] : jobs_) job->cancel();
}

void TokenRelay::close() {
  boost::system::error_code ignored;
  wakeup_.close(ignored);
}

}  // namespace millrace::server
