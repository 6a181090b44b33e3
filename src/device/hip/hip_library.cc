#include "device/hip/hip_library.h"

#include <dlfcn.h>

#include <cstdlib>
#include <vector>

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

class Library {
 public:
  explicit Library(void* handle) : handle_(handle) {}
  ~Library() { ::dlclose(handle_); }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  // Empty, or the first name that the library lacks.
  std::string bind_all() {
    bind(api.get_device_count, "hipGetDeviceCount");
    bind(api.set_device, "hipSetDevice");
    bind(api.get_properties, "hipGetDevicePropertiesR0600");
    bind(api.get_runtime_version, "hipRuntimeGetVersion");
    bind(api.get_last_error, "hipGetLastError");
    bind(api.get_error_name, "hipGetErrorName");
    bind(api.get_error_string, "hipGetErrorString");
    bind(api.malloc, "hipMalloc");
    bind(api.free, "hipFree");
    bind(api.host_malloc, "hipHostMalloc");
    bind(api.host_free, "hipHostFree");
    bind(api.memset_async, "hipMemsetAsync");
    bind(api.memcpy_async, "hipMemcpyAsync");
    bind(api.stream_create, "hipStreamCreateWithFlags");
    bind(api.stream_destroy, "hipStreamDestroy");
    bind(api.stream_synchronize, "hipStreamSynchronize");
    bind(api.event_create, "hipEventCreateWithFlags");
    bind(api.event_destroy, "hipEventDestroy");
    bind(api.event_record, "hipEventRecord");
    bind(api.event_query, "hipEventQuery");
    bind(api.event_synchronize, "hipEventSynchronize");
    bind(api.begin_capture, "hipStreamBeginCapture");
    bind(api.end_capture, "hipStreamEndCapture");
    bind(api.graph_instantiate, "hipGraphInstantiateWithFlags");
    bind(api.graph_launch, "hipGraphLaunch");
    bind(api.graph_exec_destroy, "hipGraphExecDestroy");
    bind(api.graph_destroy, "hipGraphDestroy");
    bind(api.module_load, "hipModuleLoadData");
    bind(api.module_unload, "hipModuleUnload");
    bind(api.module_function, "hipModuleGetFunction");
    bind(api.launch, "hipModuleLaunchKernel");
    return missing_;
  }

  Api api = {};

 private:
  template <typename F>
  void bind(F& function, const char* name) {
    function = reinterpret_cast<F>(::dlsym(handle_, name));
    if (function == nullptr && missing_.empty()) missing_ = name;
  }

  void* handle_;
  std::string missing_;
};

}  // namespace

Result<std::shared_ptr<const Api>> load_hip() {
  for (const std::string& name : candidates()) {
    void* handle = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) continue;
    const auto library = std::make_shared<Library>(handle);
    const std::string missing = library->bind_all();
    if (!missing.empty())
      return fail(ErrorCode::Unavailable,
                  "{}: no function {}; expected a HIP runtime of 6.0 or newer", name, missing);
    return std::shared_ptr<const Api>(library, &library->api);
  }
  return fail(ErrorCode::Unavailable,
              "no libamdhip64.so was found (install ROCm, or name its folder in ROCM_PATH)");
}

}  // namespace millrace::hip
