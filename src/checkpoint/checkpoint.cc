#include "checkpoint/checkpoint.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/progress.h"
#include "base/thread_pool.h"

namespace millrace {
namespace {

std::uintptr_t alignment_of(DType dtype) {
  return dtype == DType::F32 || dtype == DType::I32 ? 4 : 2;
}

bool is_aligned(const void* data, DType dtype) {
  return reinterpret_cast<std::uintptr_t>(data) % alignment_of(dtype) == 0;
}

constexpr std::size_t kCopyAlignment = 64;
std::size_t padded(std::uint64_t bytes) {
  return (bytes + kCopyAlignment - 1) / kCopyAlignment * kCopyAlignment;
}

// Maps the pages of a range, reading what is not in the page cache.
void populate(const std::byte* data, std::size_t size) {
  void* start = const_cast<std::byte*>(data);
#ifdef MADV_POPULATE_READ
  if (::madvise(start, size, MADV_POPULATE_READ) == 0) return;
#endif
  // Kernels before 5.14: announce the range, then touch it.
  ::madvise(start, size, MADV_WILLNEED);
  constexpr std::size_t kPage = 4096;
  std::uint8_t sum = 0;
  for (std::size_t at = 0; at < size; at += kPage) sum ^= std::to_integer<std::uint8_t>(data[at]);
  // The reads must not be optimised away.
  [[maybe_unused]] volatile std::uint8_t sink = sum;
}

}  // namespace

const TensorView* Checkpoint::find(std::string_view name) const {
  const auto it =
      std::lower_bound(by_name_.begin(), by_name_.end(), name,
                       [&](std::size_t i, std::string_view n) { return tensors_[i].name < n; });
  return it == by_name_.end() || tensors_[*it].name != name ? nullptr : &tensors_[*it].view;
}

Result<TensorView> Checkpoint::get(std::string_view name) const {
  if (const TensorView* view = find(name)) return *view;
  for (const ForeignTensor& tensor : foreign_)
    if (tensor.name == name)
      return fail(ErrorCode::Unsupported,
                  "{}: tensor {}: found type {} with shape {}, which Millrace does not run",
                  origin_, printable(name), printable(tensor.type), tensor.shape);
  return fail(ErrorCode::Corrupt, "{}: tensor {} is missing", origin_, printable(name));
}

void Checkpoint::prefetch(int threads) const {
  constexpr std::size_t kPiece = 16u << 20;
  struct Piece {
    const std::byte* data;
    std::size_t size;
  };
  std::vector<Piece> pieces;
  std::uint64_t total = 0;
  for (const MappedFile& file : files_) {
    total += file.size();
    for (std::size_t at = 0; at < file.size(); at += kPiece)
      pieces.push_back({file.bytes().data() + at, std::min(kPiece, file.size() - at)});
  }
  Progress progress("reading weights", total);
  ThreadPool pool(threads > 0 ? threads : available_cores());
  pool.run(static_cast<std::int64_t>(pieces.size()), [&](std::int64_t i) {
    const Piece& piece = pieces[static_cast<std::size_t>(i)];
    populate(piece.data, piece.size);
    progress.advance(piece.size);
  });
}

void Checkpoint::forget(const TensorView& tensor) const {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const auto from = reinterpret_cast<std::uintptr_t>(tensor.data);
  // Whole pages alone: others share the first and the last.
  const std::uintptr_t first = (from + page - 1) / page * page;
  const std::uintptr_t last = (from + static_cast<std::uintptr_t>(tensor.bytes())) / page * page;
  if (first < last)
    ::madvise(const_cast<std::byte*>(tensor.as<std::byte>()) + (first - from), last - first,
              MADV_DONTNEED);
}

void CheckpointBuilder::add(MappedFile file, std::vector<TensorEntry> entries) {
  const std::byte* base = file.bytes().data();
  std::size_t copied_bytes = 0;
  for (const TensorEntry& entry : entries)
    if (entry.readable() && !is_aligned(base + entry.offset, *entry.dtype))
      copied_bytes += padded(entry.bytes);
  // One buffer for all of them: a file of many small tensors must not exhaust the address space's
  // count of mappings.
  Buffer copies(copied_bytes);
  std::byte* next = copies.as<std::byte>();
  for (TensorEntry& entry : entries) {
    if (!entry.readable()) {
      checkpoint_.foreign_.push_back(
          {std::move(entry.name), std::move(entry.type), dims_to_string(entry.dims), entry.bytes});
      continue;
    }
    const void* data = base + entry.offset;
    // A tensor without elements keeps its address: nobody reads there, and it must not be null.
    if (!is_aligned(data, *entry.dtype) && entry.bytes > 0) {
      std::memcpy(next, data, entry.bytes);
      data = next;
      next += padded(entry.bytes);
    }
    checkpoint_.tensors_.push_back(
        {std::move(entry.name), {data, *entry.dtype, Shape(std::span(entry.dims))}});
  }
  checkpoint_.files_.push_back(std::move(file));
  if (copied_bytes > 0) checkpoint_.buffers_.push_back(std::move(copies));
}

void CheckpointBuilder::add(Buffer memory, std::vector<NamedTensor> tensors) {
  std::move(tensors.begin(), tensors.end(), std::back_inserter(checkpoint_.tensors_));
  checkpoint_.buffers_.push_back(std::move(memory));
}

Result<std::unique_ptr<Checkpoint>> CheckpointBuilder::finish() && {
  const std::vector<NamedTensor>& tensors = checkpoint_.tensors_;
  std::vector<std::string_view> names;
  for (const NamedTensor& tensor : tensors) {
    names.push_back(tensor.name);
    checkpoint_.total_bytes_ += static_cast<std::uint64_t>(tensor.view.bytes());
  }
  for (const ForeignTensor& tensor : checkpoint_.foreign_) names.push_back(tensor.name);
  std::sort(names.begin(), names.end());
  if (const auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end())
    return fail(ErrorCode::Corrupt, "{}: tensor {}: found twice, expected once",
                checkpoint_.origin_, printable(*twice));
  std::vector<std::size_t>& order = checkpoint_.by_name_;
  order.resize(tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(),
            [&](std::size_t a, std::size_t b) { return tensors[a].name < tensors[b].name; });
  return std::make_unique<Checkpoint>(std::move(checkpoint_));
}

}  // namespace millrace
