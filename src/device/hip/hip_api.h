// The functions of AMD's runtime that Millrace calls, as a table of pointers: filled from the
// library where there is one (hip_library.h), by a double in tests. Nothing of ROCm is needed to
// compile this; where its headers are there, hip_api_check.hip compares every value and signature.
//
// No hipMallocAsync: emulators lack it, and the pool above hipMalloc serves the same end.
#pragma once

#include <cstddef>

namespace millrace::hip {

using Error = int;  // hipError_t
constexpr Error kSuccess = 0;
constexpr Error kErrorInvalidValue = 1;
constexpr Error kErrorOutOfMemory = 2;
constexpr Error kErrorNotReady = 600;

constexpr unsigned kStreamNonBlocking = 1;
constexpr unsigned kEventDefault = 0;
constexpr unsigned kEventDisableTiming = 2;
constexpr unsigned kHostPortable = 1;
constexpr int kHostToDevice = 1;
constexpr int kDeviceToHost = 2;
constexpr int kDeviceToDevice = 3;
constexpr int kCaptureThreadLocal = 1;

// What we read of hipDeviceProp_t (its layout since HIP 6, "R0600").
constexpr std::size_t kPropertiesBytes = 1472;
constexpr std::size_t kNameOffset = 0;
constexpr std::size_t kMemoryOffset = 288;           // totalGlobalMem, size_t
constexpr std::size_t kMultiprocessorsOffset = 388;  // int
constexpr std::size_t kArchNameOffset = 1160;        // "gfx942:sramecc+:xnack-"

// Handles are pointers to what only the runtime knows.
struct Api {
  Error (*get_device_count)(int* count);
  Error (*set_device)(int device);
  Error (*get_properties)(void* properties, int device);
  Error (*get_runtime_version)(int* version);
  Error (*get_last_error)();
  const char* (*get_error_name)(Error error);
  const char* (*get_error_string)(Error error);

  Error (*malloc)(void** data, std::size_t bytes);
  Error (*free)(void* data);
  Error (*host_malloc)(void** data, std::size_t bytes, unsigned flags);
  Error (*host_free)(void* data);
  Error (*memset_async)(void* data, int value, std::size_t bytes, void* stream);
  Error (*memcpy_async)(void* to, const void* from, std::size_t bytes, int kind, void* stream);

  Error (*stream_create)(void** stream, unsigned flags);
  Error (*stream_destroy)(void* stream);
  Error (*stream_synchronize)(void* stream);
  Error (*event_create)(void** event, unsigned flags);
  Error (*event_destroy)(void* event);
  Error (*event_record)(void* event, void* stream);
  Error (*event_query)(void* event);
  Error (*event_synchronize)(void* event);
  Error (*event_elapsed_time)(float* ms, void* earlier, void* later);

  Error (*begin_capture)(void* stream, int mode);
  Error (*end_capture)(void* stream, void** graph);
  Error (*graph_instantiate)(void** executable, void* graph, unsigned long long flags);
  Error (*graph_launch)(void* executable, void* stream);
  Error (*graph_exec_destroy)(void* executable);
  Error (*graph_destroy)(void* graph);

  Error (*module_load)(void** module, const void* image);
  Error (*module_unload)(void* module);
  Error (*module_function)(void** function, void* module, const char* name);
  Error (*launch)(void* function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                  unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                  void* stream, void** parameters, void** extra);
};

}  // namespace millrace::hip
