#include "device/hip/hip_library.h"

#include <cstdlib>
#include <vector>

#include "device/shared_library.h"

namespace millrace::hip {
namespace {

// The loader's own search path, then where ROCm's packages put it.
std::vector<std::string> candidates() {
  std::vector<std::string> names;
  if (const char* root = std::getenv("ROCM_PATH"))
    names.push_back(std::string(root) + "/lib/libamdhip64.so");
  for (const char* name :
       {"libamdhip64.so.7", "libamdhip64.so.6", "libamdhip64.so", "/opt/rocm/lib/libamdhip64.so"})
    names.emplace_back(name);
  return names;
}

void bind_all(SharedLibrary& library, Api& api) {
  library.bind(api.get_device_count, "hipGetDeviceCount");
  library.bind(api.set_device, "hipSetDevice");
  library.bind(api.get_properties, "hipGetDevicePropertiesR0600");
  library.bind(api.get_runtime_version, "hipRuntimeGetVersion");
  library.bind(api.get_last_error, "hipGetLastError");
  library.bind(api.get_error_name, "hipGetErrorName");
  library.bind(api.get_error_string, "hipGetErrorString");
  library.bind(api.malloc, "hipMalloc");
  library.bind(api.free, "hipFree");
  library.bind(api.host_malloc, "hipHostMalloc");
  library.bind(api.host_free, "hipHostFree");
  library.bind(api.memset_async, "hipMemsetAsync");
  library.bind(api.memcpy_async, "hipMemcpyAsync");
  library.bind(api.stream_create, "hipStreamCreateWithFlags");
  library.bind(api.stream_destroy, "hipStreamDestroy");
  library.bind(api.stream_synchronize, "hipStreamSynchronize");
  library.bind(api.event_create, "hipEventCreateWithFlags");
  library.bind(api.event_destroy, "hipEventDestroy");
  library.bind(api.event_record, "hipEventRecord");
  library.bind(api.event_query, "hipEventQuery");
  library.bind(api.event_synchronize, "hipEventSynchronize");
  library.bind(api.event_elapsed_time, "hipEventElapsedTime");
  library.bind(api.begin_capture, "hipStreamBeginCapture");
  library.bind(api.end_capture, "hipStreamEndCapture");
  library.bind(api.graph_instantiate, "hipGraphInstantiateWithFlags");
  library.bind(api.graph_launch, "hipGraphLaunch");
  library.bind(api.graph_exec_destroy, "hipGraphExecDestroy");
  library.bind(api.graph_destroy, "hipGraphDestroy");
  library.bind(api.module_load, "hipModuleLoadData");
  library.bind(api.module_unload, "hipModuleUnload");
  library.bind(api.module_function, "hipModuleGetFunction");
  library.bind(api.launch, "hipModuleLaunchKernel");
}

// The functions, which live as long as their library.
struct LoadedApi {
  std::unique_ptr<SharedLibrary> library;
  Api api = {};
};

}  // namespace

Result<std::shared_ptr<const Api>> load_hip() {
  const auto loaded = std::make_shared<LoadedApi>();
  loaded->library = SharedLibrary::open(candidates());
  if (!loaded->library)
    return fail(ErrorCode::Unavailable,
                "no libamdhip64.so was found (install ROCm, or name its folder in ROCM_PATH)");
  SharedLibrary& library = *loaded->library;
  bind_all(library, loaded->api);
  if (!library.missing().empty())
    return fail(ErrorCode::Unavailable,
                "{}: no function {}; expected a HIP runtime of 6.0 or newer", library.name(),
                library.missing());
  return std::shared_ptr<const Api>(loaded, &loaded->api);
}

}  // namespace millrace::hip
