// A GPU that is not there: the GPU kernels run on the host through emulated/grid.h, over memory
// that plays the device's. For tests, and for looking at a kernel with a debugger.
#pragma once

#include <memory>

#include "device/device.h"

namespace millrace {

std::unique_ptr<Device> make_emulated_device();

}  // namespace millrace
