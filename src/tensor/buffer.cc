#include "tensor/buffer.h"

#include <sys/mman.h>

#include <new>

namespace millrace {

Buffer::Buffer(std::size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  data_ = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (data_ == MAP_FAILED) {
    data_ = nullptr;
    size_ = 0;
    throw std::bad_alloc();
  }
  // Only advice: without huge pages everything works, with more page faults.
  if (bytes >= (4u << 20)) ::madvise(data_, bytes, MADV_HUGEPAGE);
}

Buffer::~Buffer() {
  if (data_) ::munmap(data_, size_);
}

}  // namespace millrace
