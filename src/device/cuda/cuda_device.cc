#include "device/cuda/cuda_device.h"

#include <map>
#include <mutex>

#include "device/cuda/cuda_stream.h"

namespace millrace {
namespace cuda {
namespace {

class CudaEvent final : public TimedEvent {
 public:
  explicit CudaEvent(unsigned flags) {
    require(cudaEventCreateWithFlags(&event_, flags), "a new CUDA event");
  }
  ~CudaEvent() override { cudaEventDestroy(event_); }
  CudaEvent(const CudaEvent&) = delete;
  CudaEvent& operator=(const CudaEvent&) = delete;

  void record(Stream& stream) override {
    require(cudaEventRecord(event_, handle_of(stream)), "recording an event");
  }
  bool done() const override {
    const cudaError_t state = cudaEventQuery(event_);
    if (state == cudaErrorNotReady) return false;
    require(state, "work on the GPU");
    return true;
  }
  void wait() const override { require(cudaEventSynchronize(event_), "work on the GPU"); }
  double seconds_after(const TimedEvent& earlier) const override {
    float ms = 0;
    require(cudaEventElapsedTime(&ms, static_cast<const CudaEvent&>(earlier).event_, event_),
            "the time between events");
    return double{ms} * 1e-3;
  }

 private:
  cudaEvent_t event_ = nullptr;
};

class CudaGraph final : public Graph {
 public:
  explicit CudaGraph(cudaGraph_t graph) : graph_(graph) {
    require(cudaGraphInstantiate(&executable_, graph_, 0), "instantiating a CUDA graph");
  }
  ~CudaGraph() override {
    cudaGraphExecDestroy(executable_);
    cudaGraphDestroy(graph_);
  }
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;

  void launch(Stream& stream) override {
    require(cudaGraphLaunch(executable_, handle_of(stream)), "launching a CUDA graph");
  }

 private:
  cudaGraph_t graph_;
  cudaGraphExec_t executable_ = nullptr;
};

// Freed memory is kept for the next request of about its size: cudaFree waits for the device.
// Thread-safe; weights are loaded by several threads.
class MemoryPool {
 public:
  ~MemoryPool() {
    for (const auto& [bytes, data] : free_) cudaFree(data);
  }

  void* take(std::size_t bytes) {
    const std::size_t rounded = round_up(bytes);
    {
      const std::lock_guard lock(mutex_);
      const auto it = free_.lower_bound(rounded);
      if (it != free_.end() && it->first <= rounded + rounded / 8) {
        void* data = it->second;
        sizes_.emplace(data, it->first);
        free_.erase(it);
        return data;
      }
    }
    void* data = nullptr;
    cudaError_t error = cudaMalloc(&data, rounded);
    if (error == cudaErrorMemoryAllocation) {
      trim();
      error = cudaMalloc(&data, rounded);
    }
    if (error == cudaErrorMemoryAllocation) {
      cudaGetLastError();  // it is not sticky: the next call must not see it
      throw std::bad_alloc();
    }
    require(error, "GPU memory");
    const std::lock_guard lock(mutex_);
    sizes_.emplace(data, rounded);
    return data;
  }

  void give(void* data) {
    const std::lock_guard lock(mutex_);
    const auto it = sizes_.find(data);
    free_.emplace(it->second, data);
    sizes_.erase(it);
  }

 private:
  static std::size_t round_up(std::size_t bytes) {
    const std::size_t unit = bytes < (std::size_t{1} << 20) ? 512 : std::size_t{1} << 21;
    return (bytes + unit - 1) / unit * unit;
  }
  void trim() {
    const std::lock_guard lock(mutex_);
    for (const auto& [bytes, data] : free_) cudaFree(data);
    free_.clear();
  }

  std::mutex mutex_;
  std::multimap<std::size_t, void*> free_;
  std::map<void*, std::size_t> sizes_;  // of what is in use
};

class CudaDevice final : public Device {
 public:
  explicit CudaDevice(int index) : index_(index) {
    use_on_this_thread();
    cudaDeviceProp properties = {};
    require(cudaGetDeviceProperties(&properties, index), "properties of the GPU");
    traits_.backend = Backend::Cuda;
    traits_.name = properties.name;
    traits_.arch = properties.major * 10 + properties.minor;
    traits_.parallelism = properties.multiProcessorCount;
    traits_.memory_bytes = static_cast<std::int64_t>(properties.totalGlobalMem);
    traits_.cpu = detect_cpu_features();
    zeroing_ = std::make_unique<CudaStream>(traits_.parallelism, traits_.arch);
  }

  const DeviceTraits& traits() const override { return traits_; }
  bool uses_host_memory() const override { return false; }

  // The current GPU is a property of the calling thread.
  void use_on_this_thread() override { require(cudaSetDevice(index_), "choosing the GPU"); }

  DeviceBuffer allocate(std::size_t bytes) override {
    if (bytes == 0) return {};
    use_on_this_thread();
    void* data = pool_.take(bytes);
    require(cudaMemsetAsync(data, 0, bytes, zeroing_->handle()), "clearing GPU memory");
    require(cudaStreamSynchronize(zeroing_->handle()), "clearing GPU memory");
    return {this, data, bytes};
  }

  DeviceBuffer allocate_pinned(std::size_t bytes) override {
    if (bytes == 0) return {};
    use_on_this_thread();
    void* data = nullptr;
    require(cudaHostAlloc(&data, bytes, cudaHostAllocPortable), "page-locked host memory");
    std::fill_n(static_cast<char*>(data), bytes, 0);
    return {this, data, bytes, MemoryKind::Pinned};
  }

  std::unique_ptr<Stream> make_stream() override {
    use_on_this_thread();
    return std::make_unique<CudaStream>(traits_.parallelism, traits_.arch);
  }

  void copy_in(void* device, const void* host, std::size_t bytes, Stream& stream) override {
    require(cudaMemcpyAsync(device, host, bytes, cudaMemcpyHostToDevice, handle_of(stream)),
            "a copy to the GPU");
  }
  void copy_out(void* host, const void* device, std::size_t bytes, Stream& stream) override {
    require(cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, handle_of(stream)),
            "a copy from the GPU");
  }
  void copy_within(void* to, const void* from, std::size_t bytes, Stream& stream) override {
    require(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, handle_of(stream)),
            "a copy on the GPU");
  }
  void synchronize(Stream& stream) override {
    require(cudaStreamSynchronize(handle_of(stream)), "work on the GPU");
  }

  std::unique_ptr<Event> make_event() override {
    use_on_this_thread();
    return std::make_unique<CudaEvent>(cudaEventDisableTiming);
  }
  std::unique_ptr<TimedEvent> make_timed_event() override {
    use_on_this_thread();
    return std::make_unique<CudaEvent>(cudaEventDefault);
  }

  std::unique_ptr<Graph> record(Stream& stream, const std::function<void()>& work) override {
    const cudaStream_t handle = handle_of(stream);
    require(cudaStreamBeginCapture(handle, cudaStreamCaptureModeThreadLocal),
            "recording a CUDA graph");
    cudaGraph_t graph = nullptr;
    try {
      work();
    } catch (...) {
      cudaStreamEndCapture(handle, &graph);
      if (graph) cudaGraphDestroy(graph);
      throw;
    }
    require(cudaStreamEndCapture(handle, &graph), "recording a CUDA graph");
    return std::make_unique<CudaGraph>(graph);
  }

 private:
  void release(void* data, std::size_t, MemoryKind kind) noexcept override {
    if (kind == MemoryKind::Pinned)
      cudaFreeHost(data);
    else
      pool_.give(data);
  }

  int index_;
  DeviceTraits traits_;
  MemoryPool pool_;
  std::unique_ptr<CudaStream> zeroing_;
};

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

}  // namespace
}  // namespace cuda

Result<std::unique_ptr<Device>> make_cuda_device(int index) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error != cudaSuccess || count == 0)
    return fail(ErrorCode::Unavailable, "no NVIDIA GPU can be used: {}",
                error == cudaSuccess ? "none is installed" : cudaGetErrorString(error));
  if (index < 0 || index >= count)
    return fail(ErrorCode::InvalidArgument, "GPU {}: expected 0 to {}", index, count - 1);
  try {
    return std::make_unique<cuda::CudaDevice>(index);
  } catch (const DeviceError& failure) {
    return fail(ErrorCode::Unavailable, "GPU {}: {}", index, failure.what());
  }
}

std::vector<std::string> describe_cuda() {
  std::vector<std::string> lines;
  int runtime = 0, driver = 0, count = 0;
  cudaRuntimeGetVersion(&runtime);
  cudaDriverGetVersion(&driver);
  lines.push_back(fmt::format(
      "runtime {}, driver {}", cuda::version_text(runtime),
      driver == 0 ? std::string("not installed") : "for up to " + cuda::version_text(driver)));
  if (cudaGetDeviceCount(&count) != cudaSuccess) count = 0;
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties = {};
    if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) continue;
    lines.push_back(fmt::format("GPU {}: {}, sm_{}{}, {} multiprocessors, {:.0f} GB", i,
                                properties.name, properties.major, properties.minor,
                                properties.multiProcessorCount,
                                static_cast<double>(properties.totalGlobalMem) / 1e9));
  }
  if (count == 0) lines.push_back("no GPU");
  return lines;
}

}  // namespace millrace
