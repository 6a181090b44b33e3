// A GPU that is not there: the GPU kernels run on the host through emulated/grid.h, over memory
// that plays the device's. For tests, and for looking at a kernel with a debugger.
#pragma once

#include <memory>

#include "base/error.h"
#include "device/device.h"

namespace millrace {

std::unique_ptr<Device> make_emulated_device();

// The same for the kernels as AMD's GPUs run them: waves of 64 lanes, MFMA. Unavailable in builds
// that hold those kernels compiled.
Result<std::unique_ptr<Device>> make_emulated_amd_device();

}  // namespace millrace
