#include "device/shared_library.h"

#include <dlfcn.h>

namespace millrace {

std::unique_ptr<SharedLibrary> SharedLibrary::open(const std::vector<std::string>& names) {
  for (const std::string& name : names)
    if (void* handle = ::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL))
      return std::unique_ptr<SharedLibrary>(new SharedLibrary(handle, name));
  return nullptr;
}

SharedLibrary::~SharedLibrary() {
  ::dlclose(handle_);
}

void* SharedLibrary::find(const char* name) {
  void* function = ::dlsym(handle_, name);
  if (function == nullptr && missing_.empty()) missing_ = name;
  return function;
}

}  // namespace millrace
