#include "tests/support/test_device.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "device/open_device.h"

namespace millrace::testing {

std::vector<std::string> test_device_names() {
  const char* asked = std::getenv("MILLRACE_TEST_DEVICE");
  if (asked != nullptr && *asked != '\0') return {asked};
  return {"cpu", "emulated"};
}

std::vector<std::string> kernel_test_device_names() {
  std::vector<std::string> names = test_device_names();
  if (names.size() == 1) return names;
  // Where the kernels for AMD are machine code there is no emulation of them.
  if (open_device("emulated-amd", 1)) names.emplace_back("emulated-amd");
  return names;
}

std::string test_device_name() {
  return test_device_names().front();
}

std::string test_name(std::string device) {
  std::replace_if(
      device.begin(), device.end(), [](char c) { return c == ':' || c == '-'; }, '_');
  return device;
}

std::unique_ptr<Device> open_test_device(const std::string& name) {
  Result<std::unique_ptr<Device>> device = open_device(name, 2);
  if (!device) {
    std::fprintf(stderr, "no device to test: %s\n", device.error().message.c_str());
    std::abort();
  }
  return std::move(*device);
}

}  // namespace millrace::testing
