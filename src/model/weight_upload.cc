#include "model/weight_upload.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <utility>

#include "base/thread_pool.h"
#include "tensor/decode_row.h"
#include "tensor/half.h"

namespace millrace {
namespace {

constexpr std::int64_t kPieceElements = 1 << 20;          // whole blocks of any format
constexpr std::int64_t kPieceBytes = 4 * kPieceElements;  // as F32, the widest
constexpr int kMostThreads = 8;                           // beyond them the bus is full
constexpr std::int64_t kBytesPerThread = 64 << 20;        // fewer do not pay for its memory

// Two pieces of page-locked memory: one is filled while the device reads the other.
class Staging {
 public:
  explicit Staging(Device& device) : device_(device), stream_(device.make_stream()) {
    for (Slot& slot : slots_) {
      slot.memory = device.allocate_pinned(kPieceBytes);
      slot.copied = device.make_event();
    }
  }
  ~Staging() {
    try {
      device_.synchronize(*stream_);
    } catch (const DeviceError&) {
      // The device has failed: nobody reads from here any more.
    }
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  void* next() {
    turn_ = 1 - turn_;
    slots_[turn_].copied->wait();
    return slots_[turn_].memory.as<void>();
  }
  void send(void* target, std::size_t bytes) {
    Slot& slot = slots_[turn_];
    device_.copy_in(target, slot.memory.as<void>(), bytes, *stream_);
    slot.copied->record(*stream_);
  }
  void wait() { device_.synchronize(*stream_); }

 private:
  struct Slot {
    DeviceBuffer memory;
    std::unique_ptr<Event> copied;
  };
  Device& device_;
  std::unique_ptr<Stream> stream_;
  std::array<Slot, 2> slots_;
  std::size_t turn_ = 0;
};

}  // namespace

WeightUpload::WeightUpload(Device& device)
    : device_(device), most_threads_(std::clamp(available_cores(), 1, kMostThreads)) {}

WeightUpload::~WeightUpload() {
  stop(true);
}

void WeightUpload::add(void* target, DType dtype, const TensorView& source) {
  if (!device_.is_there()) return;
  bytes_ += source.bytes();
  start_threads();
  const std::int64_t elements = source.shape.elements();
  {
    const std::lock_guard lock(mutex_);
    for (std::int64_t first = 0; first < elements; first += kPieceElements)
      pieces_.push_back({static_cast<std::byte*>(target) + bytes_of(dtype, first), dtype,
                         source.as<std::byte>() + bytes_of(source.dtype, first), source.dtype,
                         std::min(kPieceElements, elements - first)});
  }
  changed_.notify_all();
}

void WeightUpload::finish() {
  stop(false);
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void WeightUpload::start_threads() {
  if (threads_.empty()) ends_ = false;
  const std::int64_t wanted = std::min<std::int64_t>(most_threads_, bytes_ / kBytesPerThread + 1);
  while (std::ssize(threads_) < wanted) threads_.emplace_back([this] { work(); });
}

void WeightUpload::stop(bool drop) {
  {
    const std::lock_guard lock(mutex_);
    ends_ = true;
    if (drop) pieces_.clear();
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  bytes_ = 0;
}

bool WeightUpload::take(Piece& piece) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return ends_ || !pieces_.empty(); });
  if (pieces_.empty()) return false;
  piece = pieces_.front();
  pieces_.pop_front();
  return true;
}

void WeightUpload::work() {
  try {
    bring_pieces();
  } catch (...) {
    const std::lock_guard lock(mutex_);
    failure_ = std::current_exception();
    pieces_.clear();
  }
}

void WeightUpload::bring_pieces() {
  device_.use_on_this_thread();
  Staging staging(device_);
  std::vector<float> widened;
  for (Piece piece; take(piece);) {
    void* memory = staging.next();
    const auto count = static_cast<std::size_t>(piece.elements);
    if (piece.dtype == piece.source_dtype) {
      std::memcpy(memory, piece.source,
                  static_cast<std::size_t>(bytes_of(piece.dtype, piece.elements)));
    } else if (piece.dtype == DType::F32) {
      decode_row(piece.source_dtype, piece.source, piece.elements, static_cast<float*>(memory));
    } else {
      widened.resize(count);
      decode_row(piece.source_dtype, piece.source, piece.elements, widened.data());
      std::transform(widened.begin(), widened.end(), static_cast<BF16*>(memory), to_bf16);
    }
    staging.send(piece.target, static_cast<std::size_t>(bytes_of(piece.dtype, piece.elements)));
  }
  staging.wait();
}

}  // namespace millrace
