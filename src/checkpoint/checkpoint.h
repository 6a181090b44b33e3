// Named tensors from files, whatever the format.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/mapped_file.h"
#include "checkpoint/tensor_entry.h"
#include "tensor/buffer.h"
#include "tensor/tensor_view.h"

namespace millrace {

struct NamedTensor {
  std::string name;
  TensorView view;
};

// In the files, but of a type or rank that Millrace does not run.
struct ForeignTensor {
  std::string name;
  std::string type;   // "F8_E4M3", "IQ2_XS"
  std::string shape;  // "[32, 7, 7]"
  std::uint64_t bytes = 0;
};

// Owns what its views point to: mapped files, or memory. Views are aligned for their element type
// (blocks of quantised types: 2 bytes) and no more. Immutable, so any thread may read it.
class Checkpoint {
 public:
  Checkpoint(Checkpoint&&) = default;
  Checkpoint& operator=(Checkpoint&&) = default;

  // The file or folder, for messages.
  const std::string& origin() const { return origin_; }
  // Null when there is no such tensor, or only a foreign one.
  const TensorView* find(std::string_view name) const;
  // The tensor, or an error that says whether it is missing or of which foreign type it is.
  Result<TensorView> get(std::string_view name) const;

  // In the order of the files' headers.
  const std::vector<NamedTensor>& tensors() const { return tensors_; }
  const std::vector<ForeignTensor>& foreign() const { return foreign_; }
  // Of tensors() alone.
  std::uint64_t total_bytes() const { return total_bytes_; }

  // Reads mapped files into the page cache and maps their pages, in parallel, with a progress bar:
  // the first forward pass then meets no page fault. Only advice; nothing fails. Pointless for
  // files larger than the machine's memory. threads 0: all cores.
  void prefetch(int threads = 0) const;

  // The caller has a copy of the tensor and reads it here no more: its memory may go back to the
  // system. A mapped file can still be read; what was made in memory (dummy weights) is lost.
  void forget(const TensorView& tensor) const;

 private:
  friend class CheckpointBuilder;
  explicit Checkpoint(std::string origin) : origin_(std::move(origin)) {}

  std::string origin_;
  std::vector<MappedFile> files_;
  std::vector<Buffer> buffers_;
  std::vector<NamedTensor> tensors_;
  std::vector<ForeignTensor> foreign_;
  std::vector<std::size_t> by_name_;  // indices into tensors_
  std::uint64_t total_bytes_ = 0;
};

// Puts a Checkpoint together from what the formats' parsers found.
class CheckpointBuilder {
 public:
  explicit CheckpointBuilder(std::string origin) : checkpoint_(std::move(origin)) {}

  // Takes over a file and its header's entries. Tensors that are not aligned for their element
  // type are copied into memory; all others are views into the mapping.
  void add(MappedFile file, std::vector<TensorEntry> entries);
  // Takes over memory and the views into it.
  void add(Buffer memory, std::vector<NamedTensor> tensors);
  // Refuses two tensors of one name.
  Result<std::unique_ptr<Checkpoint>> finish() &&;

 private:
  Checkpoint checkpoint_;
};

}  // namespace millrace
