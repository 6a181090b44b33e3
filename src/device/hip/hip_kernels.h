// The GPU code in this program, and how a device finds a kernel in it.
//
// The compiler makes every source's static constructors announce its code object and its kernels
// through functions that AMD's library defines (__hipRegisterFatBinary and others). We define them
// ourselves and only keep the list: the library may be absent, and is loaded later if at all.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "device/hip/hip_api.h"

namespace millrace::hip {

struct KernelSymbol {
  const void* key;   // the address that names the kernel in host code
  const char* name;  // in the code object
};

// What one source file brought: an offload bundle with one code object a target.
struct CodeImage {
  const void* bundle = nullptr;
  std::vector<KernelSymbol> kernels;
};

// Complete once main() has begun, and the same ever after.
std::span<const std::unique_ptr<CodeImage>> code_images();

// The code of all images on one device, which is current when this is made and destroyed.
class Modules {
 public:
  // Throws DeviceError: an image without code for this device's architecture among others.
  Modules(std::shared_ptr<const Api> api, std::span<const std::unique_ptr<CodeImage>> images);
  ~Modules();
  Modules(const Modules&) = delete;
  Modules& operator=(const Modules&) = delete;

  // The runtime's handle of a kernel; aborts for a kernel that is in no image.
  void* function(const void* key) const;

 private:
  std::shared_ptr<const Api> api_;
  std::vector<void*> modules_;
  std::map<const void*, void*> functions_;
};

}  // namespace millrace::hip
