// A HIP runtime of an empty machine: every function that Millrace looks for, none of which works,
// no device. With MILLRACE_OLD_RUNTIME one is missing. It has no hipMallocAsync, and needs none.
extern "C" {
int hipGetDeviceCount(int* count) {
  *count = 0;
  return 0;
}
int hipRuntimeGetVersion(int* version) {
  *version = 70'200'000;
  return 0;
}
const char* hipGetErrorName(int) {
  return "hipErrorNoDevice";
}
const char* hipGetErrorString(int) {
  return "no device";
}
#define ABSENT(name) \
  int name() {       \
    return 100;      \
  }
ABSENT(hipSetDevice)
ABSENT(hipGetDevicePropertiesR0600)
ABSENT(hipGetLastError)
ABSENT(hipMalloc)
ABSENT(hipFree)
ABSENT(hipHostMalloc)
ABSENT(hipHostFree)
ABSENT(hipMemsetAsync)
ABSENT(hipMemcpyAsync)
ABSENT(hipStreamCreateWithFlags)
ABSENT(hipStreamDestroy)
ABSENT(hipStreamSynchronize)
ABSENT(hipEventCreateWithFlags)
ABSENT(hipEventDestroy)
ABSENT(hipEventRecord)
ABSENT(hipEventQuery)
ABSENT(hipEventSynchronize)
ABSENT(hipEventElapsedTime)
ABSENT(hipStreamBeginCapture)
ABSENT(hipStreamEndCapture)
#if !defined(MILLRACE_OLD_RUNTIME)
ABSENT(hipGraphInstantiateWithFlags)
#endif
ABSENT(hipGraphLaunch)
ABSENT(hipGraphExecDestroy)
ABSENT(hipGraphDestroy)
ABSENT(hipModuleLoadData)
ABSENT(hipModuleUnload)
ABSENT(hipModuleGetFunction)
ABSENT(hipModuleLaunchKernel)
}
