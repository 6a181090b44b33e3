// AMD's runtime as the host layer sees it, without a GPU: a strict one. Work is done as late as the
// real one may do it, when somebody waits; memory is what it was before it was asked for, poisoned;
// whatever a real runtime would answer with a crash, or with nothing, is written down as a fault.
//
// One at a time: the table of functions has no place for an object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "device/hip/hip_api.h"

namespace millrace::testing {

class HipDouble {
 public:
  struct Options {
    int devices = 1;
    std::string name = "AMD Instinct MI300X";
    std::string arch = "gfx942:sramecc+:xnack-";
    std::size_t memory = std::size_t{64} << 20;  // bytes of each device
    int multiprocessors = 304;
  };
  // A kernel's launch, with its arguments as they were when it was queued.
  struct Launch {
    unsigned grid[3], block[3], shared_bytes;
    std::vector<std::vector<std::byte>> arguments;

    template <typename T>
    T argument(std::size_t i) const {
      T value;
      std::copy_n(arguments.at(i).data(), sizeof(T), reinterpret_cast<std::byte*>(&value));
      return value;
    }
  };
  using Body = std::function<void(const Launch&)>;

  explicit HipDouble(Options options);
  HipDouble() : HipDouble(Options()) {}
  ~HipDouble();
  HipDouble(const HipDouble&) = delete;
  HipDouble& operator=(const HipDouble&) = delete;

  std::shared_ptr<const hip::Api> api() const;

  // The code object then has that kernel, with parameters of those sizes.
  void define(const std::string& kernel, std::vector<std::size_t> parameter_bytes, Body body);
  // The call of a function ("hipMalloc") after `skipped` more fails so.
  void fail(const std::string& function, hip::Error error, int skipped = 0);

  int calls(const std::string& function) const;
  std::size_t bytes_on(int device) const;
  // Objects that are alive: allocations of both kinds, streams, events, graphs, modules.
  std::size_t alive() const;
  std::size_t pending() const;                     // pieces of work that nobody has waited for
  std::vector<std::string> faults() const;         // what a caller may never do
  hip::Error last_error() const { return last_; }  // that hipGetLastError would return
  static int current_device();                     // of the calling thread

 private:
  friend struct HipDoubleCalls;

  struct Allocation {
    std::unique_ptr<std::byte[]> memory;
    std::size_t bytes = 0;
    int device = -1;  // -1: of the host
  };
  using Work = std::function<void()>;
  struct Stream {
    std::deque<Work> queue;
    std::uint64_t queued = 0, done = 0;
    bool capturing = false;
    std::vector<Work> captured;
  };
  struct Event {
    void* stream = nullptr;
    std::uint64_t ticket = 0;  // done when the stream has done so many
    bool timed = false;
  };
  struct Kernel {
    std::vector<std::size_t> parameter_bytes;
    Body body;
  };
  struct Failure {
    std::string function;
    hip::Error error;
    int skipped;
  };

  hip::Error enter(const char* function);
  hip::Error fault(const std::string& what, hip::Error error = hip::kErrorInvalidValue);
  hip::Error allocate(void** data, std::size_t bytes, int device);
  hip::Error release(void* data, bool host);
  hip::Error queue(void* stream, const char* what, Work work);
  void run_until(Stream& stream, std::uint64_t ticket);
  void run_all();
  bool in_device_memory(const void* data, std::size_t bytes) const;
  template <typename T>
  T* find(std::map<void*, std::unique_ptr<T>>& in, void* handle, const char* what);

  Options options_;
  mutable std::recursive_mutex mutex_;
  std::map<void*, Allocation> memory_;
  std::map<void*, std::unique_ptr<Stream>> streams_;
  std::map<void*, std::unique_ptr<Event>> events_;
  std::map<void*, std::unique_ptr<std::vector<Work>>> graphs_, executables_;
  std::map<void*, std::unique_ptr<int>> modules_;
  std::map<std::string, Kernel> kernels_;
  std::map<std::string, int> calls_;
  std::vector<Failure> failures_;
  std::vector<std::string> faults_;
  hip::Error last_ = hip::kSuccess;
};

}  // namespace millrace::testing
