// The devices that tests run on: all that need no special machine, or the one that
// MILLRACE_TEST_DEVICE names ("cuda").
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "device/device.h"

namespace millrace::testing {

// Is this built with a sanitizer? The emulated devices are slow then.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kIsSanitized = true;
#else
constexpr bool kIsSanitized = false;
#endif

// {"cpu", "emulated"}, or the one that was asked for.
std::vector<std::string> test_device_names();
// For tests of the kernels themselves: "emulated-amd" too, the kernels for AMD in waves of 64
// lanes.
std::vector<std::string> kernel_test_device_names();

// For tests of what runs on any device: the one that was asked for, or "cpu".
std::string test_device_name();

// As part of a test's name: "cuda:1" as "cuda_1", "emulated-amd" as "emulated_amd".
std::string test_name(std::string device);

// "cpu" has two threads. Aborts, saying why, where there is no such device.
std::unique_ptr<Device> open_test_device(const std::string& name);

}  // namespace millrace::testing
