// A HIP stream and how its calls' errors are reported; for hip/ and the GPU kernels alone.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "device/device.h"
#include "device/hip/hip_api.h"
#include "device/hip/hip_blas_lt.h"
#include "device/hip/hip_kernels.h"

namespace millrace::hip {

// Throws DeviceError "WHAT: hipErrorName (explanation)" unless all is well.
inline void require(const Api& api, Error error, const char* what) {
  if (error == kSuccess) [[likely]]
    return;
  throw DeviceError(std::string(what) + ": " + api.get_error_name(error) + " (" +
                    api.get_error_string(error) + ")");
}

struct LaunchExtents {
  unsigned grid[3];
  unsigned block[3];
  unsigned shared_bytes;
};

class HipStream final : public Stream {
 public:
  // On the calling thread's current GPU. `modules` are its device's, which outlives it.
  HipStream(std::shared_ptr<const Api> api, const Modules& modules, const DeviceTraits& traits)
      : api_(std::move(api)),
        modules_(&modules),
        multiprocessors_(traits.parallelism),
        shared_limit_(traits.arch == 950 ? 160 * 1024 : 64 * 1024) {
    require(*api_, api_->stream_create(&handle_, kStreamNonBlocking), "a new HIP stream");
  }
  ~HipStream() override { api_->stream_destroy(handle_); }
  HipStream(const HipStream&) = delete;
  HipStream& operator=(const HipStream&) = delete;

  void* handle() const { return handle_; }
  int multiprocessors() const { return multiprocessors_; }
  int shared_limit() const { return shared_limit_; }

  // Loaded at the first call, which must not be in a recording; null where there is none.
  BlasLt* blas() {
    if (!blas_) {
      std::string why_not;
      blas_.emplace(BlasLt::load(api_, why_not));
    }
    return blas_->get();
  }

  // `parameters` point at the arguments, which are copied. Throws DeviceError.
  void launch(const void* kernel, const LaunchExtents& shape, void** parameters) {
    require(*api_,
            api_->launch(modules_->function(kernel), shape.grid[0], shape.grid[1], shape.grid[2],
                         shape.block[0], shape.block[1], shape.block[2], shape.shared_bytes,
                         handle_, parameters, nullptr),
            "a kernel launch");
  }

 private:
  std::shared_ptr<const Api> api_;
  const Modules* modules_;
  std::optional<std::unique_ptr<BlasLt>> blas_;
  int multiprocessors_;
  int shared_limit_;  // bytes of LDS a workgroup may have
  void* handle_ = nullptr;
};

// Kernels registered for Backend::Hip are launched on a HipStream, but for the emulated AMD GPU.
inline void* handle_of(Stream& stream) {
  return static_cast<HipStream&>(stream).handle();
}

}  // namespace millrace::hip
