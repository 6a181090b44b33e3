#include "device/device.h"

namespace millrace {

std::string_view to_string(Backend backend) {
  switch (backend) {
    case Backend::Cpu:
      return "cpu";
    case Backend::Cuda:
      return "cuda";
    case Backend::Hip:
      return "hip";
    case Backend::Emulated:
      return "emulated";
  }
  return "unknown";
}

DeviceBuffer::~DeviceBuffer() {
  if (data_) device_->release(data_, bytes_, kind_);
}

}  // namespace millrace
