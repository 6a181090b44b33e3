#include "checkpoint/dummy.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <tuple>

#include "base/progress.h"
#include "base/thread_pool.h"
#include "checkpoint/dummy_blocks.h"
#include "checkpoint/quantise.h"
#include "tensor/half.h"

namespace millrace {
namespace {

// Float values are drawn from evenly spaced levels: four to a random word. A table of bf16 levels
// fits the first-level cache.
constexpr int kLevels = 4096;
constexpr std::int64_t kPieceElements = 1 << 20;  // what a thread makes at a time
constexpr std::uint64_t kAlignment = 256;
constexpr std::uint64_t kMaxBytes = std::uint64_t{1} << 46;  // a process's address space is 2^47

// FNV-1a of the name, spread by the seed.
std::uint64_t stream_key(std::uint64_t seed, std::string_view name) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3u;
  }
  return random_word(hash, random_word(seed, 0));
}

// The levels of a uniform distribution, encoded in a float type.
std::vector<std::byte> make_levels(DType dtype, double mean, double deviation) {
  std::vector<float> values(kLevels);
  const double half_width = deviation * std::sqrt(3.0);
  for (int i = 0; i < kLevels; ++i)
    values[static_cast<std::size_t>(i)] =
        static_cast<float>(mean + half_width * ((2 * i + 1) / double{kLevels} - 1.0));
  std::vector<std::byte> levels(static_cast<std::size_t>(bytes_of(dtype, kLevels)));
  quantise_row(dtype, values.data(), kLevels, levels.data());
  return levels;
}

// Elements [first, first + count) of a stream; first is a multiple of 4.
template <typename T>
void fill_levels(const std::byte* table, std::uint64_t key, std::int64_t first, std::int64_t count,
                 T* out) {
  const auto* levels = reinterpret_cast<const T*>(table);
  const auto word_at = [&](std::int64_t i) {
    return random_word(key, static_cast<std::uint64_t>((first + i) / 4));
  };
  constexpr std::uint64_t kMask = kLevels - 1;
  std::int64_t i = 0;
  for (; i + 4 <= count; i += 4) {
    const std::uint64_t word = word_at(i);
    out[i] = levels[word & kMask];
    out[i + 1] = levels[(word >> 16) & kMask];
    out[i + 2] = levels[(word >> 32) & kMask];
    out[i + 3] = levels[(word >> 48) & kMask];
  }
  for (; i < count; ++i) out[i] = levels[(word_at(i) >> (16 * (i % 4))) & kMask];
}

struct Piece {
  const DummyTensor* tensor;
  std::uint64_t key;
  const std::byte* levels;  // null for quantised types
  std::int64_t first;       // element
  std::int64_t count;
  std::byte* out;
};

void fill_piece(const Piece& piece) {
  const DType dtype = piece.tensor->dtype;
  if (!piece.levels) {
    const std::int64_t block = layout_of(dtype).block_size;
    fill_blocks(dtype, piece.tensor->deviation, piece.key, piece.first / block, piece.count / block,
                piece.out);
  } else if (dtype == DType::F32) {
    fill_levels(piece.levels, piece.key, piece.first, piece.count,
                reinterpret_cast<float*>(piece.out));
  } else {
    fill_levels(piece.levels, piece.key, piece.first, piece.count,
                reinterpret_cast<std::uint16_t*>(piece.out));
  }
}

Result<std::uint64_t> checked_bytes(const DummyTensor& tensor) {
  const auto refuse = [&](std::string_view found, std::string_view expected) {
    return fail(ErrorCode::InvalidArgument, "tensor {}: found {}, expected {}",
                printable(tensor.name), found, expected);
  };
  const DTypeLayout& layout = layout_of(tensor.dtype);
  std::vector<std::int64_t> dims;
  dims.reserve(Shape::kMaxRank);
  for (int i = 0; i < tensor.shape.rank(); ++i) dims.push_back(tensor.shape[i]);
  const auto bytes = bytes_of_dims(dims, layout.block_size, layout.block_bytes * 8);
  if (!bytes)
    return refuse(fmt::format("shape {} of {}", to_string(tensor.shape), layout.name),
                  fmt::format("rows of whole blocks of {}", layout.block_size));
  if (tensor.dtype == DType::I32) return refuse("type I32", "floats");
  if (!std::isfinite(tensor.mean) || !(tensor.deviation >= 0) || !std::isfinite(tensor.deviation))
    return refuse(fmt::format("mean {}, deviation {}", tensor.mean, tensor.deviation),
                  "finite numbers");
  if (is_quantised(tensor.dtype) && tensor.mean != 0)
    return refuse(fmt::format("mean {} for {}", tensor.mean, layout.name), "mean 0");
  if (is_quantised(tensor.dtype) && !can_fill_blocks(tensor.dtype, tensor.deviation))
    return refuse(fmt::format("deviation {} for {}", tensor.deviation, layout.name),
                  "one that its float16 scales can give");
  return *bytes;
}

// Memory for the tensors, one behind the other, and where each lies in it.
struct Placed {
  Buffer memory;
  std::vector<NamedTensor> named;
};

Result<Placed> place(std::string_view origin, std::span<const DummyTensor> tensors) {
  std::vector<std::uint64_t> offsets;
  std::uint64_t total = 0;
  for (const DummyTensor& tensor : tensors) {
    const auto bytes = checked_bytes(tensor);
    if (!bytes) return fail_in(origin, bytes.error());
    offsets.push_back(total);
    if (*bytes > kMaxBytes - total)
      return fail(ErrorCode::TooLarge, "{}: random weights of more than {} bytes", origin,
                  kMaxBytes);
    total += (*bytes + kAlignment - 1) / kAlignment * kAlignment;
    if (total > kMaxBytes) total = kMaxBytes;
  }
  // One allocation, so that small tensors share huge pages.
  Placed placed = {Buffer(static_cast<std::size_t>(std::max(total, kAlignment))), {}};
  for (std::size_t i = 0; i < tensors.size(); ++i)
    placed.named.push_back(
        {tensors[i].name,
         {placed.memory.as<std::byte>() + offsets[i], tensors[i].dtype, tensors[i].shape}});
  return placed;
}

Result<std::unique_ptr<Checkpoint>> finish(std::string origin, Placed placed) {
  CheckpointBuilder builder(std::move(origin));
  builder.add(std::move(placed.memory), std::move(placed.named));
  return std::move(builder).finish();
}

}  // namespace

Result<std::unique_ptr<Checkpoint>> make_dummy_checkpoint(std::string origin,
                                                          std::span<const DummyTensor> tensors,
                                                          std::uint64_t seed, int threads) {
  Placed placed = MILLRACE_TRY(place(origin, tensors));
  std::map<std::tuple<DType, double, double>, std::vector<std::byte>> level_tables;
  std::vector<Piece> pieces;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const DummyTensor& tensor = tensors[i];
    auto* data = const_cast<std::byte*>(placed.named[i].view.as<std::byte>());
    const std::byte* levels = nullptr;
    if (!is_quantised(tensor.dtype)) {
      auto& table = level_tables[{tensor.dtype, tensor.mean, tensor.deviation}];
      if (table.empty()) table = make_levels(tensor.dtype, tensor.mean, tensor.deviation);
      levels = table.data();
    }
    const std::uint64_t key = stream_key(seed, tensor.name);
    const std::int64_t elements = tensor.shape.elements();
    for (std::int64_t first = 0; first < elements; first += kPieceElements)
      pieces.push_back({&tensor, key, levels, first, std::min(kPieceElements, elements - first),
                        data + bytes_of(tensor.dtype, first)});
  }
  {
    Progress progress("making random weights", placed.memory.size());
    ThreadPool pool(threads > 0 ? threads : available_cores());
    pool.run(static_cast<std::int64_t>(pieces.size()), [&](std::int64_t i) {
      const Piece& piece = pieces[static_cast<std::size_t>(i)];
      fill_piece(piece);
      progress.advance(static_cast<std::uint64_t>(bytes_of(piece.tensor->dtype, piece.count)));
    });
  }
  return finish(std::move(origin), std::move(placed));
}

Result<std::unique_ptr<Checkpoint>> make_outline_checkpoint(std::string origin,
                                                            std::span<const DummyTensor> tensors) {
  Placed placed = MILLRACE_TRY(place(origin, tensors));
  return finish(std::move(origin), std::move(placed));
}

}  // namespace millrace
