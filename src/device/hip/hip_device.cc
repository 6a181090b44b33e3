#include "device/hip/hip_device.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <new>

#include "device/gpu/memory_pool.h"
#include "device/hip/hip_library.h"
#include "device/hip/hip_stream.h"

namespace millrace {
namespace hip {
namespace {

class HipEvent final : public TimedEvent {
 public:
  HipEvent(std::shared_ptr<const Api> api, unsigned flags) : api_(std::move(api)) {
    require(*api_, api_->event_create(&event_, flags), "a new HIP event");
  }
  ~HipEvent() override { api_->event_destroy(event_); }
  HipEvent(const HipEvent&) = delete;
  HipEvent& operator=(const HipEvent&) = delete;

  void record(Stream& stream) override {
    require(*api_, api_->event_record(event_, handle_of(stream)), "recording an event");
  }
  bool done() const override {
    const Error state = api_->event_query(event_);
    if (state == kErrorNotReady) return false;
    require(*api_, state, "work on the GPU");
    return true;
  }
  void wait() const override { require(*api_, api_->event_synchronize(event_), "work on the GPU"); }
  double seconds_after(const TimedEvent& earlier) const override {
    float ms = 0;
    require(*api_,
            api_->event_elapsed_time(&ms, static_cast<const HipEvent&>(earlier).event_, event_),
            "the time between events");
    return double{ms} * 1e-3;
  }

 private:
  std::shared_ptr<const Api> api_;
  void* event_ = nullptr;
};

class HipGraph final : public Graph {
 public:
  // Takes the graph, whether or not it can be instantiated.
  HipGraph(std::shared_ptr<const Api> api, void* graph) : api_(std::move(api)), graph_(graph) {
    const Error error = api_->graph_instantiate(&executable_, graph_, 0);
    if (error != kSuccess) api_->graph_destroy(graph_);
    require(*api_, error, "instantiating a HIP graph");
  }
  ~HipGraph() override {
    api_->graph_exec_destroy(executable_);
    api_->graph_destroy(graph_);
  }
  HipGraph(const HipGraph&) = delete;
  HipGraph& operator=(const HipGraph&) = delete;

  void launch(Stream& stream) override {
    require(*api_, api_->graph_launch(executable_, handle_of(stream)), "launching a HIP graph");
  }

 private:
  std::shared_ptr<const Api> api_;
  void* graph_;
  void* executable_ = nullptr;
};

struct Properties {
  std::string name;
  std::string arch;
  std::int64_t memory_bytes = 0;
  int multiprocessors = 0;
};

// Text of at most `room` bytes, ended early by a zero.
std::string text_at(const char* from, std::size_t room) {
  return {from, ::strnlen(from, room)};
}

Error read_properties(const Api& api, int index, Properties& out) {
  // Larger than we know the struct to be: newer runtimes may add to its end.
  alignas(16) std::array<char, 2 * kPropertiesBytes> raw = {};
  const Error error = api.get_properties(raw.data(), index);
  if (error != kSuccess) return error;
  std::size_t memory = 0;
  std::memcpy(&memory, raw.data() + kMemoryOffset, sizeof(memory));
  std::memcpy(&out.multiprocessors, raw.data() + kMultiprocessorsOffset,
              sizeof(out.multiprocessors));
  out.memory_bytes = static_cast<std::int64_t>(memory);
  out.name = text_at(raw.data() + kNameOffset, 256);
  out.arch = text_at(raw.data() + kArchNameOffset, 256);
  return kSuccess;
}

class HipDevice final : public Device {
 public:
  HipDevice(std::shared_ptr<const Api> api, int index, const Properties& properties)
      : api_(std::move(api)),
        index_(index),
        pool_({.allocate = [this](std::size_t bytes) { return allocate_raw(bytes); },
               .free = [this](void* data) { api_->free(data); }}) {
    traits_.backend = Backend::Hip;
    traits_.name = properties.name;
    traits_.arch = arch_of(properties.arch);
    traits_.parallelism = properties.multiprocessors;
    traits_.memory_bytes = properties.memory_bytes;
    traits_.cpu = detect_cpu_features();
    use_on_this_thread();
    modules_ = std::make_unique<Modules>(api_, code_images());
    zeroing_ = new_stream();
  }

  const DeviceTraits& traits() const override { return traits_; }
  bool uses_host_memory() const override { return false; }

  // The current GPU is a property of the calling thread.
  void use_on_this_thread() override {
    require(*api_, api_->set_device(index_), "choosing the GPU");
  }

  DeviceBuffer allocate(std::size_t bytes) override {
    if (bytes == 0) return {};
    use_on_this_thread();
    DeviceBuffer buffer(this, pool_.take(bytes), bytes);
    require(*api_, api_->memset_async(buffer.as<void>(), 0, bytes, zeroing_->handle()),
            "clearing GPU memory");
    require(*api_, api_->stream_synchronize(zeroing_->handle()), "clearing GPU memory");
    return buffer;
  }

  DeviceBuffer allocate_pinned(std::size_t bytes) override {
    if (bytes == 0) return {};
    use_on_this_thread();
    void* data = nullptr;
    require(*api_, api_->host_malloc(&data, bytes, kHostPortable), "page-locked host memory");
    std::fill_n(static_cast<char*>(data), bytes, 0);
    return {this, data, bytes, MemoryKind::Pinned};
  }

  std::unique_ptr<Stream> make_stream() override {
    use_on_this_thread();
    return new_stream();
  }

  void copy_in(void* device, const void* host, std::size_t bytes, Stream& stream) override {
    require(*api_, api_->memcpy_async(device, host, bytes, kHostToDevice, handle_of(stream)),
            "a copy to the GPU");
  }
  void copy_out(void* host, const void* device, std::size_t bytes, Stream& stream) override {
    require(*api_, api_->memcpy_async(host, device, bytes, kDeviceToHost, handle_of(stream)),
            "a copy from the GPU");
  }
  void copy_within(void* to, const void* from, std::size_t bytes, Stream& stream) override {
    require(*api_, api_->memcpy_async(to, from, bytes, kDeviceToDevice, handle_of(stream)),
            "a copy on the GPU");
  }
  void synchronize(Stream& stream) override {
    require(*api_, api_->stream_synchronize(handle_of(stream)), "work on the GPU");
  }

  std::unique_ptr<Event> make_event() override {
    use_on_this_thread();
    return std::make_unique<HipEvent>(api_, kEventDisableTiming);
  }
  std::unique_ptr<TimedEvent> make_timed_event() override {
    use_on_this_thread();
    return std::make_unique<HipEvent>(api_, kEventDefault);
  }

  std::unique_ptr<Graph> record(Stream& stream, const std::function<void()>& work) override {
    void* const handle = handle_of(stream);
    require(*api_, api_->begin_capture(handle, kCaptureThreadLocal), "recording a HIP graph");
    void* graph = nullptr;
    try {
      work();
    } catch (...) {
      api_->end_capture(handle, &graph);
      if (graph) api_->graph_destroy(graph);
      throw;
    }
    require(*api_, api_->end_capture(handle, &graph), "recording a HIP graph");
    return std::make_unique<HipGraph>(api_, graph);
  }

 private:
  std::unique_ptr<HipStream> new_stream() {
    return std::make_unique<HipStream>(api_, *modules_, traits_);
  }

  void* allocate_raw(std::size_t bytes) {
    void* data = nullptr;
    const Error error = api_->malloc(&data, bytes);
    if (error == kErrorOutOfMemory) {
      api_->get_last_error();  // it is not sticky: the next call must not see it
      return nullptr;
    }
    require(*api_, error, "GPU memory");
    return data;
  }

  void release(void* data, std::size_t, MemoryKind kind) noexcept override {
    if (kind == MemoryKind::Pinned)
      api_->host_free(data);
    else
      pool_.give(data);
  }

  std::shared_ptr<const Api> api_;
  int index_;
  DeviceTraits traits_;
  gpu::MemoryPool pool_;
  std::unique_ptr<Modules> modules_;
  std::unique_ptr<HipStream> zeroing_;
};

}  // namespace

int arch_of(const std::string& name) {
  if (!name.starts_with("gfx")) return 0;
  int arch = 0;
  const char* last = name.data() + name.size();
  const auto [end, error] = std::from_chars(name.data() + 3, last, arch);
  return error == std::errc() && (end == last || *end == ':') ? arch : 0;
}

Result<std::unique_ptr<Device>> make_device(std::shared_ptr<const Api> api, int index) {
  int count = 0;
  const Error error = api->get_device_count(&count);
  if (error != kSuccess || count <= 0)
    return fail(ErrorCode::Unavailable, "no AMD GPU can be used: {}",
                error == kSuccess ? "none is installed" : api->get_error_string(error));
  if (index < 0 || index >= count)
    return fail(ErrorCode::InvalidArgument, "GPU {}: expected 0 to {}", index, count - 1);
  try {
    Properties properties;
    require(*api, read_properties(*api, index, properties), "properties of the GPU");
    const int arch = arch_of(properties.arch);
    if (arch != 942 && arch != 950)
      return fail(ErrorCode::Unavailable, "GPU {}: found '{}' ({}), expected gfx942 or gfx950",
                  index, properties.name, properties.arch);
    if (properties.multiprocessors <= 0)
      return fail(ErrorCode::Unavailable, "GPU {}: found {} multiprocessors", index,
                  properties.multiprocessors);
    return std::make_unique<HipDevice>(std::move(api), index, properties);
  } catch (const DeviceError& failure) {
    return fail(ErrorCode::Unavailable, "GPU {}: {}", index, failure.what());
  }
}

}  // namespace hip

Result<std::unique_ptr<Device>> make_hip_device(int index) {
  if (hip::code_images().empty())
    return fail(ErrorCode::Unavailable, "no AMD GPU can be used: this build has no code for one");
  return hip::make_device(MILLRACE_TRY(hip::load_hip()), index);
}

std::vector<std::string> describe_hip() {
  if (hip::code_images().empty()) return {"not built in"};
  std::size_t kernels = 0;
  for (const auto& image : hip::code_images()) kernels += image->kernels.size();
  std::vector<std::string> lines = {
      fmt::format("{} kernels in {} images", kernels, hip::code_images().size())};
  const Result<std::shared_ptr<const hip::Api>> loaded = hip::load_hip();
  if (!loaded) {
    lines.push_back(loaded.error().message);
    return lines;
  }
  const hip::Api& api = **loaded;
  int version = 0, count = 0;
  api.get_runtime_version(&version);
  lines.push_back(fmt::format("runtime {}.{}", version / 10'000'000, version / 100'000 % 100));
  if (api.get_device_count(&count) != hip::kSuccess) count = 0;
  for (int i = 0; i < count; ++i) {
    hip::Properties properties;
    if (hip::read_properties(api, i, properties) != hip::kSuccess) continue;
    lines.push_back(fmt::format("GPU {}: {}, {}, {} compute units, {:.0f} GB", i, properties.name,
                                properties.arch, properties.multiprocessors,
                                static_cast<double>(properties.memory_bytes) / 1e9));
  }
  if (count == 0) lines.push_back("no GPU");
  return lines;
}

}  // namespace millrace
