#include "device/open_device.h"

#include <charconv>

#include "device/cpu/cpu_device.h"
#include "device/cuda/cuda_device.h"
#include "device/emulated/emulated_device.h"
#include "device/hip/hip_device.h"

namespace millrace {

Result<std::unique_ptr<Device>> open_device(const std::string& name, int threads) {
  if (name == "cpu") return make_cpu_device(threads);
  if (name == "emulated") return make_emulated_device();
  if (name == "emulated-amd") return make_emulated_amd_device();
  if (name == "auto") {
    for (const auto make : {make_cuda_device, make_hip_device})
      if (Result<std::unique_ptr<Device>> gpu = make(0)) return gpu;
    return make_cpu_device(threads);
  }
  const std::string_view whole = name;
  const std::string_view kind = whole.substr(0, whole.find(':'));
  int index = 0;
  bool fine = kind == "cuda" || kind == "hip";
  if (fine && kind.size() < whole.size()) {
    const char* last = whole.data() + whole.size();
    const auto [end, error] = std::from_chars(whole.data() + kind.size() + 1, last, index);
    fine = error == std::errc() && end == last;
  }
  if (fine) return kind == "cuda" ? make_cuda_device(index) : make_hip_device(index);
  return fail(ErrorCode::InvalidArgument,
              "device: found '{}', expected auto, cpu, cuda, cuda:INDEX, hip, hip:INDEX, "
              "emulated or emulated-amd",
              name);
}

}  // namespace millrace
