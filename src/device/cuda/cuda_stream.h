// A CUDA stream and how its calls' errors are reported; for cuda/ and the GPU kernels alone.
#pragma once

#include <cuda_runtime_api.h>

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
  explicit CudaStream(int multiprocessors) : multiprocessors_(multiprocessors) {
    require(cudaStreamCreateWithFlags(&handle_, cudaStreamNonBlocking), "a new CUDA stream");
  }
  ~CudaStream() override { cudaStreamDestroy(handle_); }
  CudaStream(const CudaStream&) = delete;
  CudaStream& operator=(const CudaStream&) = delete;

  cudaStream_t handle() const { return handle_; }
  int multiprocessors() const { return multiprocessors_; }

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
  int multiprocessors_;
  cudaStream_t handle_ = nullptr;
};

// Kernels registered for Backend::Cuda are only ever launched on a CudaStream.
inline cudaStream_t handle_of(Stream& stream) {
  return static_cast<CudaStream&>(stream).handle();
}

}  // namespace millrace::cuda
