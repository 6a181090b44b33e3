// A CUDA stream and how its calls' errors are reported; for cuda/ and the GPU kernels alone.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "device/cuda/blas_lt.h"
#include "device/device.h"

namespace millrace::cuda {

// Throws DeviceError "WHAT: cudaErrorName (explanation)" unless all is well.
inline void require(cudaError_t error, const char* what) {
  if (error == cudaSuccess) [[likely]]
    return;
  throw DeviceError(std::string(what) + ": " + cudaGetErrorName(error) + " (" +
                    cudaGetErrorString(error) + ")");
}

class CudaStream final : public Stream {
 public:
  // On the calling thread's current GPU.
  CudaStream(int multiprocessors, int arch) : multiprocessors_(multiprocessors), arch_(arch) {
    if (is_hopper()) {
      void* memory = nullptr;
      require(cudaMalloc(&memory, (kCounters + kFloats) * 4), "memory for sums");
      sums_.reset(memory);
    }
    require(cudaStreamCreateWithFlags(&handle_, cudaStreamNonBlocking), "a new CUDA stream");
    // On this stream, which does not wait for the others.
    if (sums_) require(cudaMemsetAsync(sums_.get(), 0, kCounters * 4, handle_), "zeros");
  }
  ~CudaStream() override { cudaStreamDestroy(handle_); }
  CudaStream(const CudaStream&) = delete;
  CudaStream& operator=(const CudaStream&) = delete;

  cudaStream_t handle() const { return handle_; }
  int multiprocessors() const { return multiprocessors_; }

  bool is_hopper() const { return arch_ == 90; }

  // Memory in which the blocks of a kernel leave sums for each other, which kernels of this stream
  // use in turn; the counters are zero between them. On Hopper alone, whose kernels need it.
  struct Sums {
    float* floats;  // [kFloats]
    int* counters;  // [kCounters]
  };
  static constexpr std::int64_t kFloats = 1 << 19, kCounters = 256;
  Sums sums() const {
    auto* counters = static_cast<int*>(sums_.get());
    return {reinterpret_cast<float*>(counters + kCounters), counters};
  }

  // Loaded at the first call, which must not be in a recording; null where there is none.
  BlasLt* blas() {
    if (!blas_) {
      std::string why_not;
      blas_.emplace(BlasLt::load(why_not));
    }
    return blas_->get();
  }

 private:
  std::optional<std::unique_ptr<BlasLt>> blas_;
  struct Free {
    void operator()(void* memory) const { cudaFree(memory); }
  };
  std::unique_ptr<void, Free> sums_;
  int multiprocessors_;
  int arch_;
  cudaStream_t handle_ = nullptr;
};

// Kernels registered for Backend::Cuda are only ever launched on a CudaStream.
inline cudaStream_t handle_of(Stream& stream) {
  return static_cast<CudaStream&>(stream).handle();
}

}  // namespace millrace::cuda
