#include "checkpoint/gguf_writer.h"

#include <array>
#include <bit>
#include <utility>

#include "base/check.h"
#include "checkpoint/ggml_types.h"
#include "checkpoint/tensor_entry.h"

namespace millrace {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::uint64_t kAlignment = 32;  // what readers assume where general.alignment is absent

std::uint64_t aligned(std::uint64_t size) {
  return (size + kAlignment - 1) / kAlignment * kAlignment;
}

template <typename T>
void append_raw(std::string& out, const T& value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}
void append_text(std::string& out, std::string_view text) {
  append_raw(out, std::uint64_t{text.size()});
  out += text;
}

}  // namespace

void GgufKeys::begin(std::string_view key, GgufType type) {
  check(keys_.emplace(key).second, "a GGUF key is put twice");
  append_text(bytes_, key);
  append_raw(bytes_, static_cast<std::uint32_t>(type));
}

void GgufKeys::put_u32(std::string_view key, std::uint32_t value) {
  begin(key, GgufType::U32);
  append_raw(bytes_, value);
}
void GgufKeys::put_i32(std::string_view key, std::int32_t value) {
  begin(key, GgufType::I32);
  append_raw(bytes_, value);
}
void GgufKeys::put_f32(std::string_view key, float value) {
  begin(key, GgufType::F32);
  append_raw(bytes_, value);
}
void GgufKeys::put_bool(std::string_view key, bool value) {
  begin(key, GgufType::Bool);
  append_raw(bytes_, static_cast<std::uint8_t>(value));
}
void GgufKeys::put_string(std::string_view key, std::string_view value) {
  begin(key, GgufType::String);
  append_text(bytes_, value);
}

void GgufKeys::put_strings(std::string_view key, std::span<const std::string> values) {
  begin(key, GgufType::Array);
  append_raw(bytes_, static_cast<std::uint32_t>(GgufType::String));
  append_raw(bytes_, std::uint64_t{values.size()});
  for (const std::string& value : values) append_text(bytes_, value);
}

void GgufKeys::put_i32s(std::string_view key, std::span<const std::int32_t> values) {
  begin(key, GgufType::Array);
  append_raw(bytes_, static_cast<std::uint32_t>(GgufType::I32));
  append_raw(bytes_, std::uint64_t{values.size()});
  for (const std::int32_t value : values) append_raw(bytes_, value);
}

void GgufKeys::put(std::string_view key, const GgufValue& value) {
  begin(key, value.type);
  if (value.type == GgufType::String) append_raw(bytes_, std::uint64_t{value.bytes.size()});
  if (value.type == GgufType::Array) {
    append_raw(bytes_, static_cast<std::uint32_t>(value.element));
    append_raw(bytes_, value.count);
  }
  bytes_.append(reinterpret_cast<const char*>(value.bytes.data()), value.bytes.size());
}

Result<GgufWriter> GgufWriter::create(std::string path, const GgufKeys& keys,
                                      std::vector<GgufTensorInfo> tensors) {
  std::string header = "GGUF";
  append_raw(header, std::uint32_t{3});
  append_raw(header, std::uint64_t{tensors.size()});
  append_raw(header, keys.count());
  header += keys.bytes();
  std::set<std::string_view> names;
  std::uint64_t offset = 0;
  for (const GgufTensorInfo& tensor : tensors) {
    if (!names.insert(tensor.name).second)
      return fail(ErrorCode::InvalidArgument, "{}: tensor {}: found twice", path,
                  printable(tensor.name));
    append_text(header, tensor.name);
    append_raw(header, static_cast<std::uint32_t>(tensor.shape.rank()));
    for (int i = tensor.shape.rank() - 1; i >= 0; --i)
      append_raw(header, static_cast<std::uint64_t>(tensor.shape[i]));
    append_raw(header, ggml_type_id(tensor.dtype));
    append_raw(header, offset);
    offset = aligned(offset + static_cast<std::uint64_t>(tensor.bytes()));
  }
  GgufWriter writer(MILLRACE_TRY(TemporaryFile::create(std::move(path))), std::move(tensors));
  MILLRACE_TRY(writer.write(header.data(), header.size()));
  MILLRACE_TRY(writer.pad());
  return writer;
}

Status GgufWriter::write(const void* data, std::size_t size) {
  written_ += size;
  return file_.write(data, size);
}

Status GgufWriter::pad() {
  constexpr std::array<char, kAlignment> kZeros = {};
  return write(kZeros.data(), aligned(written_) - written_);
}

Status GgufWriter::append(std::span<const std::byte> data) {
  check(next_ < tensors_.size(), "more data than the GGUF file's tensors hold");
  const std::int64_t whole = tensors_[next_].bytes();
  in_tensor_ += static_cast<std::int64_t>(data.size());
  check(in_tensor_ <= whole, "more data than the GGUF file's tensor holds");
  MILLRACE_TRY(write(data.data(), data.size()));
  if (in_tensor_ < whole) return {};
  ++next_;
  in_tensor_ = 0;
  return pad();
}

Status GgufWriter::finish() {
  check(next_ == tensors_.size(), "a GGUF file is finished before its tensors are written");
  return file_.keep();
}

}  // namespace millrace
