#include "checkpoint/gguf_header.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <numeric>

#include "checkpoint/ggml_types.h"

namespace millrace {
namespace {

constexpr std::uint64_t kMaxKeys = 1u << 16;
constexpr std::uint64_t kMaxTensors = 1u << 20;
constexpr std::uint64_t kMaxKeyBytes = 65535;  // the format's own limit
constexpr std::uint64_t kMaxTensorNameBytes = 1024;
constexpr int kMaxArrayDepth = 4;
constexpr std::uint64_t kDefaultAlignment = 32;
constexpr std::int64_t kMaxAlignment = 1 << 20;
constexpr std::uint32_t kMaxDims = 4;  // GGML_MAX_DIMS

// Reads forward over the file; every read is checked against its end.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> file) : file_(file) {}

  std::uint64_t position() const { return at_; }
  std::uint64_t left() const { return file_.size() - at_; }

  Result<std::span<const std::byte>> take(std::uint64_t bytes) {
    if (bytes > left())
      return fail(ErrorCode::Corrupt, "found {} bytes left at byte {}, expected {} more", left(),
                  at_, bytes);
    const auto taken = file_.subspan(at_, bytes);
    at_ += bytes;
    return taken;
  }

  template <typename T>
  Result<T> scalar() {
    const auto bytes = MILLRACE_TRY(take(sizeof(T)));
    T value;
    std::memcpy(&value, bytes.data(), sizeof(T));
    return value;
  }

  Result<std::span<const std::byte>> string(
      std::uint64_t limit = std::numeric_limits<std::uint64_t>::max()) {
    const auto length = MILLRACE_TRY(scalar<std::uint64_t>());
    if (length > limit)
      return fail(ErrorCode::Corrupt, "found a length of {} at byte {}, expected at most {}",
                  length, at_ - sizeof(length), limit);
    return take(length);
  }

 private:
  std::span<const std::byte> file_;
  std::uint64_t at_ = 0;
};

std::string as_text(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Result<GgufType> read_type(Reader& reader) {
  const auto type = MILLRACE_TRY(reader.scalar<std::uint32_t>());
  if (type >= kGgufTypes)
    return fail(ErrorCode::Corrupt, "found value type {}, expected 0 to {}", type, kGgufTypes - 1);
  return static_cast<GgufType>(type);
}

Status check_bools(std::span<const std::byte> bytes) {
  for (const std::byte byte : bytes)
    if (byte > std::byte{1})
      return fail(ErrorCode::Corrupt, "found {} for a bool, expected 0 or 1",
                  std::to_integer<int>(byte));
  return {};
}

// Steps over `count` elements, or says where they leave the file.
Status skip_elements(Reader& reader, GgufType element, std::uint64_t count, int depth) {
  if (const std::size_t size = size_of(element)) {
    if (count > reader.left() / size)
      return fail(ErrorCode::Corrupt, "found an array of {} {}, the file has {} bytes left", count,
                  to_string(element), reader.left());
    const auto bytes = MILLRACE_TRY(reader.take(count * size));
    return element == GgufType::Bool ? check_bools(bytes) : Status{};
  }
  // Strings take at least 8 bytes, arrays 12.
  if (count > reader.left() / 8)
    return fail(ErrorCode::Corrupt, "found an array of {} {}s, the file has {} bytes left", count,
                to_string(element), reader.left());
  for (std::uint64_t i = 0; i < count; ++i) {
    if (element == GgufType::String) {
      MILLRACE_TRY(reader.string());
      continue;
    }
    if (depth == kMaxArrayDepth)
      return fail(ErrorCode::TooLarge, "found arrays nested deeper than {} levels", kMaxArrayDepth);
    const GgufType inner = MILLRACE_TRY(read_type(reader));
    const auto inner_count = MILLRACE_TRY(reader.scalar<std::uint64_t>());
    MILLRACE_TRY(skip_elements(reader, inner, inner_count, depth + 1));
  }
  return {};
}

Result<GgufValue> read_value(Reader& reader, std::span<const std::byte> file) {
  GgufValue value;
  value.type = MILLRACE_TRY(read_type(reader));
  if (value.type == GgufType::String) {
    value.bytes = MILLRACE_TRY(reader.string());
  } else if (value.type == GgufType::Array) {
    value.element = MILLRACE_TRY(read_type(reader));
    value.count = MILLRACE_TRY(reader.scalar<std::uint64_t>());
    const std::uint64_t begin = reader.position();
    MILLRACE_TRY(skip_elements(reader, value.element, value.count, 1));
    value.bytes = file.subspan(begin, reader.position() - begin);
  } else {
    value.bytes = MILLRACE_TRY(reader.take(size_of(value.type)));
    if (value.type == GgufType::Bool) MILLRACE_TRY(check_bools(value.bytes));
  }
  return value;
}

Status read_metadata(Reader& reader, std::span<const std::byte> file, std::uint64_t count,
                     GgufMetadata& metadata) {
  for (std::uint64_t i = 0; i < count; ++i) {
    const auto key_bytes = reader.string(kMaxKeyBytes);
    if (!key_bytes) return fail_in(fmt::format("key {}", i), key_bytes.error());
    std::string key = as_text(*key_bytes);
    const auto value = read_value(reader, file);
    if (!value) return fail_in(fmt::format("value of {}", printable(key)), value.error());
    if (metadata.find(key))
      return fail(ErrorCode::Corrupt, "key {}: found twice, expected once", printable(key));
    metadata.insert(std::move(key), *value);
  }
  return {};
}

// One tensor's record; the offset is still relative to the data.
Result<TensorEntry> read_record(Reader& reader, std::uint64_t index) {
  const auto name = reader.string(kMaxTensorNameBytes);
  if (!name) return fail_in(fmt::format("name of tensor {}", index), name.error());
  TensorEntry entry;
  entry.name = as_text(*name);
  const auto rank = MILLRACE_TRY(reader.scalar<std::uint32_t>());
  if (rank > kMaxDims)
    return fail(ErrorCode::Corrupt, "tensor {}: found {} dimensions, expected at most {}",
                printable(entry.name), rank, kMaxDims);
  for (std::uint32_t i = 0; i < rank; ++i) {
    const auto dim = MILLRACE_TRY(reader.scalar<std::uint64_t>());
    if (dim > std::uint64_t{std::numeric_limits<std::int64_t>::max()})
      return fail(ErrorCode::Corrupt, "tensor {}: dimension {}: found {}, expected below 2^63",
                  printable(entry.name), i, dim);
    entry.dims.push_back(static_cast<std::int64_t>(dim));
  }
  std::reverse(entry.dims.begin(), entry.dims.end());
  const GgmlType type = ggml_type(MILLRACE_TRY(reader.scalar<std::uint32_t>()));
  entry.offset = MILLRACE_TRY(reader.scalar<std::uint64_t>());
  entry.type = type.name;
  entry.dtype = type.dtype;
  const bool known = type.block_size > 0;
  const auto bytes =
      bytes_of_dims(entry.dims, known ? type.block_size : 1, known ? type.block_bytes * 8 : 8);
  if (!bytes)
    return fail(ErrorCode::Corrupt,
                "tensor {}: found shape {} of {}, expected rows of whole blocks of {} and less "
                "than 2^60 bytes",
                printable(entry.name), dims_to_string(entry.dims), entry.type,
                std::max<std::int64_t>(1, type.block_size));
  if (known) entry.bytes = *bytes;
  return entry;
}

Status place(std::vector<TensorEntry>& tensors, std::uint64_t data, std::uint64_t data_bytes,
             std::uint64_t alignment) {
  for (TensorEntry& entry : tensors) {
    if (entry.offset % alignment != 0)
      return fail(ErrorCode::Corrupt, "tensor {}: offset: found {}, expected a multiple of {}",
                  printable(entry.name), entry.offset, alignment);
    if (entry.offset > data_bytes || entry.bytes > data_bytes - entry.offset)
      return fail(ErrorCode::Corrupt,
                  "tensor {}: found {} bytes at offset {}, the file holds {} bytes of data (is the "
                  "download complete?)",
                  printable(entry.name), entry.bytes, entry.offset, data_bytes);
    entry.offset += data;
  }
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(tensors[a].offset, tensors[a].bytes) <
           std::pair(tensors[b].offset, tensors[b].bytes);
  });
  for (std::size_t i = 1; i < order.size(); ++i) {
    const TensorEntry& before = tensors[order[i - 1]];
    const TensorEntry& entry = tensors[order[i]];
    if (before.offset + before.bytes > entry.offset)
      return fail(ErrorCode::Corrupt, "tensor {}: found offset {}, inside of tensor {}",
                  printable(entry.name), entry.offset - data, printable(before.name));
  }
  return {};
}

Status read_start(Reader& reader, GgufHeader& header) {
  const auto magic = MILLRACE_TRY(reader.take(4));
  if (as_text(magic) != "GGUF")
    return fail(ErrorCode::Corrupt, "found \"{}\" at its beginning, expected \"GGUF\"",
                printable(as_text(magic)));
  header.version = MILLRACE_TRY(reader.scalar<std::uint32_t>());
  if (header.version != 0 && (header.version & 0xffff) == 0)
    return fail(ErrorCode::Unsupported, "found a big-endian GGUF file, expected little endian");
  if (header.version != 2 && header.version != 3)
    return fail(ErrorCode::Unsupported, "found GGUF version {}, expected 2 or 3", header.version);
  return {};
}

Result<GgufHeader> parse(std::span<const std::byte> file, std::string_view origin) {
  GgufHeader header;
  header.metadata = GgufMetadata(std::string(origin));
  Reader reader(file);
  MILLRACE_TRY(read_start(reader, header));
  const auto tensors = MILLRACE_TRY(reader.scalar<std::uint64_t>());
  const auto keys = MILLRACE_TRY(reader.scalar<std::uint64_t>());
  if (tensors > kMaxTensors)
    return fail(ErrorCode::TooLarge, "tensor count: found {}, expected at most {}", tensors,
                kMaxTensors);
  if (keys > kMaxKeys)
    return fail(ErrorCode::TooLarge, "key count: found {}, expected at most {}", keys, kMaxKeys);
  MILLRACE_TRY(read_metadata(reader, file, keys, header.metadata));
  for (std::uint64_t i = 0; i < tensors; ++i)
    header.tensors.push_back(MILLRACE_TRY(read_record(reader, i)));
  const auto alignment = static_cast<std::uint64_t>(
      MILLRACE_TRY(header.metadata.integer("general.alignment", 1, kMaxAlignment))
          .value_or(kDefaultAlignment));
  if (!std::has_single_bit(alignment))
    return fail(ErrorCode::Corrupt, "general.alignment: found {}, expected a power of two",
                alignment);
  const std::uint64_t data = (reader.position() + alignment - 1) / alignment * alignment;
  // A file of metadata alone need not be padded.
  const std::uint64_t data_bytes = data < file.size() ? file.size() - data : 0;
  MILLRACE_TRY(
      place(header.tensors, std::min<std::uint64_t>(data, file.size()), data_bytes, alignment));
  return header;
}

}  // namespace

Result<GgufHeader> parse_gguf(std::span<const std::byte> file, std::string_view origin) {
  Result<GgufHeader> header = parse(file, origin);
  if (header) return header;
  // Metadata getters name the file themselves.
  if (header.error().message.starts_with(std::string(origin) + ": ")) return header;
  return fail_in(origin, header.error());
}

}  // namespace millrace
