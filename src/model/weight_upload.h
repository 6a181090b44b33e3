// Brings tensors to a device with memory of its own while the next ones are read.
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "device/device.h"
#include "tensor/tensor_view.h"

namespace millrace {

// Threads take pieces of the tensors, read them (from a mapped file, whose pages may still be on a
// disk), convert what the device keeps in another type, and leave them in page-locked memory of
// their own, from where the device fetches one piece while the thread reads the next.
class WeightUpload {
 public:
  explicit WeightUpload(Device& device);
  // Gives up what has not begun, waits for what has.
  ~WeightUpload();
  WeightUpload(const WeightUpload&) = delete;
  WeightUpload& operator=(const WeightUpload&) = delete;

  // All of `source` to `target`, as `dtype`: its own type, or F32 or BF16. Both must stay until
  // finish() has returned.
  void add(void* target, DType dtype, const TensorView& source);

  // Returns when all is there. Throws what a thread threw.
  void finish();

 private:
  struct Piece {
    std::byte* target;
    DType dtype;
    const std::byte* source;
    DType source_dtype;
    std::int64_t elements;
  };

  void start_threads();
  void work();
  void bring_pieces();
  bool take(Piece& piece);
  void stop(bool drop);

  Device& device_;
  int most_threads_;
  std::vector<std::thread> threads_;
  std::int64_t bytes_ = 0;  // that were added since the last finish()
  std::mutex mutex_;        // of all below
  std::condition_variable changed_;
  std::deque<Piece> pieces_;
  bool ends_ = false;  // nothing will be added
  std::exception_ptr failure_;
};

}  // namespace millrace
