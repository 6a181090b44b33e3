#include "tests/support/hip_double.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace millrace::testing {
namespace {

constexpr int kPoison = 0xcd;
constexpr std::size_t kAlignment = 256;

HipDouble* g_current = nullptr;
thread_local int t_device = 0;

}  // namespace

HipDouble::HipDouble(Options options) : options_(std::move(options)) {
  if (g_current != nullptr) std::abort();
  g_current = this;
  t_device = 0;
}

HipDouble::~HipDouble() {
  g_current = nullptr;
}

int HipDouble::current_device() {
  return t_device;
}

void HipDouble::define(const std::string& kernel, std::vector<std::size_t> parameter_bytes,
                       Body body) {
  kernels_[kernel] = {std::move(parameter_bytes), std::move(body)};
}

void HipDouble::fail(const std::string& function, hip::Error error, int skipped) {
  failures_.push_back({function, error, skipped});
}

int HipDouble::calls(const std::string& function) const {
  const auto it = calls_.find(function);
  return it == calls_.end() ? 0 : it->second;
}

std::size_t HipDouble::bytes_on(int device) const {
  std::size_t bytes = 0;
  for (const auto& [data, allocation] : memory_)
    if (allocation.device == device) bytes += allocation.bytes;
  return bytes;
}

std::size_t HipDouble::alive() const {
  return memory_.size() + streams_.size() + events_.size() + graphs_.size() + executables_.size() +
         modules_.size();
}

std::size_t HipDouble::pending() const {
  std::size_t count = 0;
  for (const auto& [handle, stream] : streams_) count += stream->queue.size();
  return count;
}

std::vector<std::string> HipDouble::faults() const {
  return faults_;
}

hip::Error HipDouble::enter(const char* function) {
  ++calls_[function];
  for (auto it = failures_.begin(); it != failures_.end(); ++it) {
    if (it->function != function || it->skipped-- > 0) continue;
    last_ = it->error;
    failures_.erase(it);
    return last_;
  }
  return hip::kSuccess;
}

hip::Error HipDouble::fault(const std::string& what, hip::Error error) {
  faults_.push_back(what);
  return last_ = error;
}

template <typename T>
T* HipDouble::find(std::map<void*, std::unique_ptr<T>>& in, void* handle, const char* what) {
  const auto it = in.find(handle);
  if (it != in.end()) return it->second.get();
  fault(std::string("not a live ") + what);
  return nullptr;
}

hip::Error HipDouble::allocate(void** data, std::size_t bytes, int device) {
  if (device >= 0 && bytes_on(device) + bytes > options_.memory)
    return last_ = hip::kErrorOutOfMemory;
  Allocation allocation;
  allocation.memory = std::make_unique<std::byte[]>(bytes + kAlignment);
  std::memset(allocation.memory.get(), kPoison, bytes + kAlignment);
  void* start = allocation.memory.get();
  std::size_t room = bytes + kAlignment;
  std::align(kAlignment, bytes, start, room);
  allocation.bytes = bytes;
  allocation.device = device;
  memory_.emplace(start, std::move(allocation));
  *data = start;
  return hip::kSuccess;
}

hip::Error HipDouble::release(void* data, bool host) {
  const auto it = memory_.find(data);
  if (it == memory_.end()) return fault("memory is freed that is not allocated");
  if ((it->second.device < 0) != host) return fault("memory is freed by the other kind's function");
  run_all();  // the real one waits for the device too
  memory_.erase(it);
  return hip::kSuccess;
}

bool HipDouble::in_device_memory(const void* data, std::size_t bytes) const {
  const auto* from = static_cast<const std::byte*>(data);
  for (const auto& [start, allocation] : memory_) {
    const auto* first = static_cast<const std::byte*>(start);
    if (allocation.device >= 0 && from >= first && from + bytes <= first + allocation.bytes)
      return true;
  }
  return false;
}

hip::Error HipDouble::queue(void* handle, const char* what, Work work) {
  Stream* stream = find(streams_, handle, "stream");
  if (stream == nullptr) return fault(std::string(what) + " on no stream");
  if (stream->capturing) {
    stream->captured.push_back(std::move(work));
    return hip::kSuccess;
  }
  stream->queue.push_back(std::move(work));
  ++stream->queued;
  return hip::kSuccess;
}

void HipDouble::run_until(Stream& stream, std::uint64_t ticket) {
  while (stream.done < ticket) {
    const Work work = std::move(stream.queue.front());
    stream.queue.pop_front();
    work();
    ++stream.done;
  }
}

void HipDouble::run_all() {
  for (auto& [handle, stream] : streams_) run_until(*stream, stream->queued);
}

// The functions of the table. Each locks, counts itself, and fails where a test has asked for it.
struct HipDoubleCalls {
  using Error = hip::Error;

  template <typename F>
  static Error call(const char* name, F&& body) {
    HipDouble& d = *g_current;
    const std::lock_guard lock(d.mutex_);
    const Error error = d.enter(name);
    return error != hip::kSuccess ? error : body(d);
  }

  template <typename T>
  static void* keep(std::map<void*, std::unique_ptr<T>>& in, std::unique_ptr<T> object) {
    void* handle = object.get();
    in.emplace(handle, std::move(object));
    return handle;
  }

  template <typename T>
  static Error drop(HipDouble& d, std::map<void*, std::unique_ptr<T>>& from, void* handle,
                    const char* what) {
    if (d.find(from, handle, what) == nullptr) return hip::kErrorInvalidValue;
    from.erase(handle);
    return hip::kSuccess;
  }

  static Error get_device_count(int* count) {
    return call("hipGetDeviceCount", [&](HipDouble& d) {
      *count = d.options_.devices;
      return hip::kSuccess;
    });
  }
  static Error set_device(int device) {
    return call("hipSetDevice", [&](HipDouble& d) {
      if (device < 0 || device >= d.options_.devices) return d.fault("no such device");
      t_device = device;
      return hip::kSuccess;
    });
  }
  static Error get_properties(void* properties, int) {
    return call("hipGetDevicePropertiesR0600", [&](HipDouble& d) {
      auto* raw = static_cast<char*>(properties);
      std::memset(raw, kPoison, hip::kPropertiesBytes);
      std::snprintf(raw + hip::kNameOffset, 256, "%s", d.options_.name.c_str());
      std::snprintf(raw + hip::kArchNameOffset, 256, "%s", d.options_.arch.c_str());
      std::memcpy(raw + hip::kMemoryOffset, &d.options_.memory, sizeof(std::size_t));
      std::memcpy(raw + hip::kMultiprocessorsOffset, &d.options_.multiprocessors, sizeof(int));
      return hip::kSuccess;
    });
  }
  static Error get_runtime_version(int* version) {
    *version = 70'240'000;
    return hip::kSuccess;
  }
  static Error get_last_error() { return std::exchange(g_current->last_, hip::kSuccess); }
  static const char* get_error_name(Error error) {
    switch (error) {
      case hip::kErrorOutOfMemory:
        return "hipErrorOutOfMemory";
      case hip::kErrorInvalidValue:
        return "hipErrorInvalidValue";
      default:
        return "hipErrorUnknown";
    }
  }
  static const char* get_error_string(Error error) {
    return error == hip::kErrorOutOfMemory ? "out of memory" : "as the test asked";
  }

  static Error malloc(void** data, std::size_t bytes) {
    return call("hipMalloc", [&](HipDouble& d) { return d.allocate(data, bytes, t_device); });
  }
  static Error free(void* data) {
    return call("hipFree", [&](HipDouble& d) { return d.release(data, false); });
  }
  static Error host_malloc(void** data, std::size_t bytes, unsigned) {
    return call("hipHostMalloc", [&](HipDouble& d) { return d.allocate(data, bytes, -1); });
  }
  static Error host_free(void* data) {
    return call("hipHostFree", [&](HipDouble& d) { return d.release(data, true); });
  }
  static Error memset_async(void* data, int value, std::size_t bytes, void* stream) {
    return call("hipMemsetAsync", [&](HipDouble& d) {
      return d.queue(stream, "memset", [&d, data, value, bytes] {
        if (!d.in_device_memory(data, bytes))
          d.fault("memset outside device memory");
        else
          std::memset(data, value, bytes);
      });
    });
  }
  static Error memcpy_async(void* to, const void* from, std::size_t bytes, int kind, void* stream) {
    return call("hipMemcpyAsync", [&](HipDouble& d) {
      return d.queue(stream, "memcpy", [&d, to, from, bytes, kind] {
        if ((kind != hip::kDeviceToHost && !d.in_device_memory(to, bytes)) ||
            (kind != hip::kHostToDevice && !d.in_device_memory(from, bytes)))
          d.fault("a copy outside device memory");
        else
          std::memcpy(to, from, bytes);
      });
    });
  }

  static Error stream_create(void** stream, unsigned) {
    return call("hipStreamCreateWithFlags", [&](HipDouble& d) {
      *stream = keep(d.streams_, std::make_unique<HipDouble::Stream>());
      return hip::kSuccess;
    });
  }
  static Error stream_destroy(void* stream) {
    return call("hipStreamDestroy", [&](HipDouble& d) {
      if (auto* s = d.find(d.streams_, stream, "stream")) d.run_until(*s, s->queued);
      return drop(d, d.streams_, stream, "stream");
    });
  }
  static Error stream_synchronize(void* stream) {
    return call("hipStreamSynchronize", [&](HipDouble& d) {
      HipDouble::Stream* s = d.find(d.streams_, stream, "stream");
      if (s == nullptr) return hip::kErrorInvalidValue;
      if (s->capturing) return d.fault("a wait on a stream that is recorded");
      d.run_until(*s, s->queued);
      return hip::kSuccess;
    });
  }

  static Error event_create(void** event, unsigned flags) {
    return call("hipEventCreateWithFlags", [&](HipDouble& d) {
      *event = keep(d.events_, std::make_unique<HipDouble::Event>());
      d.find(d.events_, *event, "event")->timed = (flags & hip::kEventDisableTiming) == 0;
      return hip::kSuccess;
    });
  }
  static Error event_destroy(void* event) {
    return call("hipEventDestroy",
                [&](HipDouble& d) { return drop(d, d.events_, event, "event"); });
  }
  static Error event_record(void* event, void* stream) {
    return call("hipEventRecord", [&](HipDouble& d) {
      HipDouble::Event* e = d.find(d.events_, event, "event");
      HipDouble::Stream* s = d.find(d.streams_, stream, "stream");
      if (e == nullptr || s == nullptr) return hip::kErrorInvalidValue;
      e->stream = stream;
      e->ticket = s->queued;
      return hip::kSuccess;
    });
  }
  static Error event_query(void* event) {
    return call("hipEventQuery", [&](HipDouble& d) {
      HipDouble::Event* e = d.find(d.events_, event, "event");
      if (e == nullptr) return hip::kErrorInvalidValue;
      const auto s = d.streams_.find(e->stream);
      const bool done = s == d.streams_.end() || s->second->done >= e->ticket;
      return done ? hip::kSuccess : hip::kErrorNotReady;
    });
  }
  static Error event_synchronize(void* event) {
    return call("hipEventSynchronize", [&](HipDouble& d) {
      HipDouble::Event* e = d.find(d.events_, event, "event");
      if (e == nullptr) return hip::kErrorInvalidValue;
      const auto s = d.streams_.find(e->stream);
      if (s != d.streams_.end()) d.run_until(*s->second, e->ticket);
      return hip::kSuccess;
    });
  }

  // A millisecond for each work of the stream.
  static Error event_elapsed_time(float* ms, void* earlier, void* later) {
    return call("hipEventElapsedTime", [&](HipDouble& d) {
      HipDouble::Event* from = d.find(d.events_, earlier, "event");
      HipDouble::Event* to = d.find(d.events_, later, "event");
      if (from == nullptr || to == nullptr) return hip::kErrorInvalidValue;
      if (!from->timed || !to->timed) return d.fault("the time of an event that keeps none");
      *ms = static_cast<float>(to->ticket) - static_cast<float>(from->ticket);
      return hip::kSuccess;
    });
  }

  static Error begin_capture(void* stream, int) {
    return call("hipStreamBeginCapture", [&](HipDouble& d) {
      HipDouble::Stream* s = d.find(d.streams_, stream, "stream");
      if (s == nullptr) return hip::kErrorInvalidValue;
      if (s->capturing) return d.fault("a stream is recorded twice");
      s->capturing = true;
      return hip::kSuccess;
    });
  }
  static Error end_capture(void* stream, void** graph) {
    return call("hipStreamEndCapture", [&](HipDouble& d) {
      HipDouble::Stream* s = d.find(d.streams_, stream, "stream");
      if (s == nullptr) return hip::kErrorInvalidValue;
      if (!s->capturing) return d.fault("a stream is not recorded");
      s->capturing = false;
      *graph = keep(d.graphs_,
                    std::make_unique<std::vector<HipDouble::Work>>(std::exchange(s->captured, {})));
      return hip::kSuccess;
    });
  }
  static Error graph_instantiate(void** executable, void* graph, unsigned long long) {
    return call("hipGraphInstantiateWithFlags", [&](HipDouble& d) {
      auto* g = d.find(d.graphs_, graph, "graph");
      if (g == nullptr) return hip::kErrorInvalidValue;
      *executable = keep(d.executables_, std::make_unique<std::vector<HipDouble::Work>>(*g));
      return hip::kSuccess;
    });
  }
  static Error graph_launch(void* executable, void* stream) {
    return call("hipGraphLaunch", [&](HipDouble& d) {
      auto* g = d.find(d.executables_, executable, "executable graph");
      if (g == nullptr) return hip::kErrorInvalidValue;
      for (const HipDouble::Work& work : *g)
        if (const Error error = d.queue(stream, "a graph", work); error != hip::kSuccess)
          return error;
      return hip::kSuccess;
    });
  }
  static Error graph_exec_destroy(void* executable) {
    return call("hipGraphExecDestroy", [&](HipDouble& d) {
      return drop(d, d.executables_, executable, "executable graph");
    });
  }
  static Error graph_destroy(void* graph) {
    return call("hipGraphDestroy",
                [&](HipDouble& d) { return drop(d, d.graphs_, graph, "graph"); });
  }

  static Error module_load(void** module, const void* image) {
    return call("hipModuleLoadData", [&](HipDouble& d) {
      if (image == nullptr) return d.fault("a module of no image");
      *module = keep(d.modules_, std::make_unique<int>(t_device));
      return hip::kSuccess;
    });
  }
  static Error module_unload(void* module) {
    return call("hipModuleUnload",
                [&](HipDouble& d) { return drop(d, d.modules_, module, "module"); });
  }
  static Error module_function(void** function, void* module, const char* name) {
    return call("hipModuleGetFunction", [&](HipDouble& d) {
      if (d.find(d.modules_, module, "module") == nullptr) return hip::kErrorInvalidValue;
      *function = &d.kernels_[name];
      return hip::kSuccess;
    });
  }
  static Error launch(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                      unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                      void* stream, void** parameters, void**) {
    return call("hipModuleLaunchKernel", [&](HipDouble& d) {
      const auto* kernel = static_cast<const HipDouble::Kernel*>(function);
      HipDouble::Launch launch = {
          {grid_x, grid_y, grid_z}, {block_x, block_y, block_z}, shared_bytes, {}};
      for (std::size_t i = 0; i < kernel->parameter_bytes.size(); ++i) {
        const auto* from = static_cast<const std::byte*>(parameters[i]);
        launch.arguments.emplace_back(from, from + kernel->parameter_bytes[i]);
      }
      return d.queue(stream, "a kernel", [kernel, launch] {
        if (kernel->body) kernel->body(launch);
      });
    });
  }
};

std::shared_ptr<const hip::Api> HipDouble::api() const {
  using C = HipDoubleCalls;
  return std::make_shared<const hip::Api>(
      hip::Api{C::get_device_count,    C::set_device,     C::get_properties,
               C::get_runtime_version, C::get_last_error, C::get_error_name,
               C::get_error_string,    C::malloc,         C::free,
               C::host_malloc,         C::host_free,      C::memset_async,
               C::memcpy_async,        C::stream_create,  C::stream_destroy,
               C::stream_synchronize,  C::event_create,   C::event_destroy,
               C::event_record,        C::event_query,    C::event_synchronize,
               C::event_elapsed_time,  C::begin_capture,  C::end_capture,
               C::graph_instantiate,   C::graph_launch,   C::graph_exec_destroy,
               C::graph_destroy,       C::module_load,    C::module_unload,
               C::module_function,     C::launch});
}

}  // namespace millrace::testing
