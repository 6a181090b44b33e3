#include "device/open_device.h"

#include <charconv>

#include "device/cpu/cpu_device.h"
#include "device/cuda/cuda_device.h"
#include "device/emulated/emulated_device.h"

namespace millrace {

Result<std::unique_ptr<Device>> open_device(const std::string& name, int threads) {
  if (name == "cpu") return make_cpu_device(threads);
  if (name == "emulated") return make_emulated_device();
  if (name == "auto") {
    Result<std::unique_ptr<Device>> gpu = make_cuda_device();
    if (gpu) return gpu;
    return make_cpu_device(threads);
  }
  if (name == "cuda") return make_cuda_device();
  if (name.starts_with("cuda:")) {
    int index = -1;
    const char* last = name.data() + name.size();
    const auto [end, error] = std::from_chars(name.data() + 5, last, index);
    if (error == std::errc() && end == last) return make_cuda_device(index);
  }
  return fail(ErrorCode::InvalidArgument,
              "device: found '{}', expected auto, cpu, cuda, cuda:INDEX or emulated", name);
}

}  // namespace millrace
