// What the files that make up App share.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "server/app.h"

namespace millrace::server {

constexpr int kClientGone = 499;

// Runs on a worker; the coroutine goes on where it was.
template <typename Work>
boost::asio::awaitable<std::invoke_result_t<Work>> run_on(boost::asio::thread_pool& workers,
                                                          Work work) {
  using Value = std::invoke_result_t<Work>;
  co_return co_await boost::asio::co_spawn(
      workers, [&work]() -> boost::asio::awaitable<Value> { co_return work(); },
      boost::asio::use_awaitable);
}

// Keeps a job findable by ids while it is made.
struct App::Active {
  Active(std::shared_ptr<ActiveJobs> all, std::vector<std::string> names,
         const std::shared_ptr<Job>& job)
      : jobs(std::move(all)), ids(std::move(names)) {
    for (const std::string& id : ids) (*jobs)[id] = job;
  }
  ~Active() {
    for (const std::string& id : ids) jobs->erase(id);
  }
  Active(const Active&) = delete;
  Active& operator=(const Active&) = delete;

  std::shared_ptr<ActiveJobs> jobs;
  std::vector<std::string> ids;
};

}  // namespace millrace::server
