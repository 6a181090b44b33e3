// A case's memory on a device that cannot use the host's: every buffer of the case has its place
// there, and pointers into the host's are turned into pointers into the device's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <vector>

#include "device/device.h"
#include "ops/batch_view.h"
#include "ops/matrix_view.h"
#include "tensor/tensor_view.h"

namespace millrace {

// A buffer of a case, in the host's memory, where cases and references keep it.
struct CaseMemory {
  enum class Use { Read, Written };  // by kernels

  void* data;
  std::int64_t bytes;
  Use use;
  // Floats that a device may store in its activation type.
  bool is_activation = false;
};

template <typename T>
CaseMemory read_memory(const std::vector<T>& values) {
  return {const_cast<T*>(values.data()), static_cast<std::int64_t>(values.size() * sizeof(T)),
          CaseMemory::Use::Read};
}
template <typename T>
CaseMemory written_memory(std::vector<T>& values) {
  return {values.data(), static_cast<std::int64_t>(values.size() * sizeof(T)),
          CaseMemory::Use::Written};
}
inline CaseMemory as_activation(CaseMemory memory) {
  memory.is_activation = true;
  return memory;
}

class CaseImage {
 public:
  // `copies` of everything, for runs that shall not find their data in a cache.
  CaseImage(Device& device, DType activation, const std::vector<CaseMemory>& memory,
            std::int64_t copies = 1);

  static std::int64_t bytes_for(const std::vector<CaseMemory>& memory);
  std::int64_t copies() const { return copies_; }

  // Fills every copy from the host's memory. BF16 takes the rounded values; poison stays poison.
  void upload(Stream& stream);
  // Brings what kernels may write of the first copy back to the host. False if memory that they
  // may only read has changed.
  bool download(Stream& stream);

  // Are these elements stored in BF16?
  bool is_narrow(const void* host) const { return place_of(host).narrow; }

  // Pointers into the host's memory become pointers into copy `copy`; null stays null. A pointer
  // into none of the case's buffers aborts: a mistake in the case.
  template <typename T>
  void move(T*& p, std::int64_t copy) const {
    p = static_cast<T*>(const_cast<void*>(moved(p, copy)));
  }
  void move(MatrixView& view, std::int64_t copy) const;
  void move(TensorView& view, std::int64_t copy) const { move(view.data, copy); }
  void move(KvView& view, std::int64_t copy) const;
  void move(ConvStateView& view, std::int64_t copy) const { move(view.columns, copy); }
  void move(BatchView& view, std::int64_t copy) const;

 private:
  struct Place {
    CaseMemory host;
    bool narrow;
    std::size_t bytes;     // there
    std::size_t distance;  // from copy to copy
    // Of its own, so that tools see who reaches beyond it.
    DeviceBuffer memory;

    std::byte* copy(std::int64_t i) const {
      return memory.as<std::byte>() + static_cast<std::size_t>(i) * distance;
    }
  };
  const Place& place_of(const void* host) const;
  const void* moved(const void* host, std::int64_t copy) const;

  Device& device_;
  std::vector<Place> places_;
  std::int64_t copies_;
};

// One copy of an image: what an op's relocate() moves its parameters to.
class CaseImageCopy {
 public:
  CaseImageCopy(const CaseImage& image, std::int64_t copy) : image_(image), copy_(copy) {}

  template <typename... Members>
  void move(Members&... members) const {
    (image_.move(members, copy_), ...);
  }

 private:
  const CaseImage& image_;
  std::int64_t copy_;
};

}  // namespace millrace
