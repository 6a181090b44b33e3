#include "device/hip/hip_kernels.h"

#include <string>

#include "base/check.h"
#include "device/hip/hip_stream.h"

namespace millrace::hip {
namespace {

// Filled by static constructors, so it cannot be one itself.
std::vector<std::unique_ptr<CodeImage>>& announced() {
  static std::vector<std::unique_ptr<CodeImage>> images;
  return images;
}

// What clang puts before a bundle ("__CudaFatBinaryWrapper" in its sources).
struct BundleWrapper {
  unsigned magic;
  unsigned version;
  const void* bundle;
  const void* unused;
};
constexpr unsigned kBundleMagic = 0x48495046;  // "HIPF"

}  // namespace

std::span<const std::unique_ptr<CodeImage>> code_images() {
  return announced();
}

Modules::Modules(std::shared_ptr<const Api> api, std::span<const std::unique_ptr<CodeImage>> images)
    : api_(std::move(api)) {
  try {
    for (const auto& image : images) {
      void* module = nullptr;
      require(*api_, api_->module_load(&module, image->bundle), "loading GPU code");
      modules_.push_back(module);
      for (const KernelSymbol& kernel : image->kernels) {
        void* function = nullptr;
        require(*api_, api_->module_function(&function, module, kernel.name), kernel.name);
        functions_.emplace(kernel.key, function);
      }
    }
  } catch (...) {
    for (void* module : modules_) api_->module_unload(module);
    throw;
  }
}

Modules::~Modules() {
  for (void* module : modules_) api_->module_unload(module);
}

void* Modules::function(const void* key) const {
  const auto it = functions_.find(key);
  check(it != functions_.end(), "a kernel that was launched is in no GPU code image");
  return it->second;
}

}  // namespace millrace::hip

// The compiler's side. Sizes and order of parameters are clang's (CGCUDANV.cpp).
extern "C" {

// NOLINTBEGIN(bugprone-reserved-identifier): they are the compiler's names.
void** __hipRegisterFatBinary(const void* data);
void __hipUnregisterFatBinary(void** image);
void __hipRegisterFunction(void** image, const void* host_function, char* device_function,
                           const char* device_name, unsigned thread_limit, void* thread_id,
                           void* block_id, void* block_extent, void* grid_extent, int* wave_size);
int __hipPopCallConfiguration(void* grid, void* block, std::size_t* shared, void** stream);
int hipLaunchKernel(const void* function, ...);

void** __hipRegisterFatBinary(const void* data) {
  const auto* wrapper = static_cast<const millrace::hip::BundleWrapper*>(data);
  millrace::check(wrapper->magic == millrace::hip::kBundleMagic, "GPU code of an unknown kind");
  auto image = std::make_unique<millrace::hip::CodeImage>();
  image->bundle = wrapper->bundle;
  millrace::hip::announced().push_back(std::move(image));
  return reinterpret_cast<void**>(millrace::hip::announced().back().get());
}

void __hipUnregisterFatBinary(void**) {}

void __hipRegisterFunction(void** image, const void* host_function, char*, const char* device_name,
                           unsigned, void*, void*, void*, void*, int*) {
  reinterpret_cast<millrace::hip::CodeImage*>(image)->kernels.push_back(
      {host_function, device_name});
}

// Called by what <<<...>>> turns into, which nobody writes: launches go through HipStream.
int __hipPopCallConfiguration(void*, void*, std::size_t*, void**) {
  millrace::check(false, "a HIP kernel was called like a function");
  return 0;
}
int hipLaunchKernel(const void*, ...) {
  millrace::check(false, "a HIP kernel was called like a function");
  return 0;
}
// NOLINTEND(bugprone-reserved-identifier)
}
