// A library that is opened while the program runs, so that the program starts without it.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace millrace {

class SharedLibrary {
 public:
  // The first of these that is there: names for the loader's search path, or paths. Null if none
  // is.
  static std::unique_ptr<SharedLibrary> open(const std::vector<std::string>& names);
  ~SharedLibrary();
  SharedLibrary(const SharedLibrary&) = delete;
  SharedLibrary& operator=(const SharedLibrary&) = delete;

  const std::string& name() const { return name_; }
  // Null, and noted as missing, if the library lacks it. Valid as long as the library lives.
  template <typename F>
  void bind(F& function, const char* name) {
    function = reinterpret_cast<F>(find(name));
  }
  // The first function that was asked for in vain; empty if none was.
  const std::string& missing() const { return missing_; }

 private:
  SharedLibrary(void* handle, std::string name) : handle_(handle), name_(std::move(name)) {}
  void* find(const char* name);

  void* handle_;
  std::string name_;
  std::string missing_;
};

}  // namespace millrace
