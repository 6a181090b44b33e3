// A device by the name that people type.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "device/device.h"

namespace millrace {

// "cpu", "cuda" or "cuda:1", "hip" or "hip:1", "emulated" and "emulated-amd" (the GPU kernels on
// the host: slow, for tests), or "auto": the first NVIDIA or AMD GPU where one can be used, else
// the CPU. `threads` is the CPU's, 0 for one a core.
Result<std::unique_ptr<Device>> open_device(const std::string& name, int threads);

}  // namespace millrace
