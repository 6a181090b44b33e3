#include "checkpoint/safetensors_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>

#include "checkpoint/json_events.h"

namespace millrace {
namespace {

constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the format's own limit
constexpr std::size_t kMaxRank = 32;
constexpr std::uint64_t kMaxInt = std::numeric_limits<std::int64_t>::max();

// Every type of the format (safetensors 0.8), with bits per element.
struct Type {
  std::string_view name;
  int bits;
  std::optional<DType> dtype;
};
constexpr Type kTypes[] = {
    {"F32", 32, DType::F32},          {"F16", 16, DType::F16},
    {"BF16", 16, DType::BF16},        {"I32", 32, DType::I32},
    {"F64", 64, std::nullopt},        {"I64", 64, std::nullopt},
    {"U64", 64, std::nullopt},        {"U32", 32, std::nullopt},
    {"I16", 16, std::nullopt},        {"U16", 16, std::nullopt},
    {"I8", 8, std::nullopt},          {"U8", 8, std::nullopt},
    {"BOOL", 8, std::nullopt},        {"F8_E4M3", 8, std::nullopt},
    {"F8_E5M2", 8, std::nullopt},     {"F8_E8M0", 8, std::nullopt},
    {"F8_E4M3FNUZ", 8, std::nullopt}, {"F8_E5M2FNUZ", 8, std::nullopt},
    {"F6_E2M3", 6, std::nullopt},     {"F6_E3M2", 6, std::nullopt},
    {"F4", 4, std::nullopt},          {"C64", 64, std::nullopt},
};

const Type* find_type(std::string_view name) {
  const auto* it = std::find_if(std::begin(kTypes), std::end(kTypes),
                                [&](const Type& type) { return type.name == name; });
  return it == std::end(kTypes) ? nullptr : it;
}

// {"__metadata__": {key: text}, name: {"dtype": text, "shape": [..], "data_offsets": [a, b]}}
class HeaderReader final : public JsonEventReader {
 public:
  SafetensorsHeader header;

 private:
  enum class At { Start, Top, Metadata, Tensor, Shape, Offsets, End };
  enum Field : unsigned { kNone = 0, kType = 1, kShape = 2, kOffsets = 4, kAll = 7 };

  Status on_event(JsonEvent event, std::string_view text, std::uint64_t number) override {
    switch (at_) {
      case At::Start:
        if (event != JsonEvent::ObjectStart) break;
        at_ = At::Top;
        return {};
      case At::Top:
        return on_top(event, text);
      case At::Metadata:
        return on_metadata(event, text);
      case At::Tensor:
        return on_tensor(event, text);
      case At::Shape:
      case At::Offsets:
        return on_list(event, text, number);
      case At::End:
        break;
    }
    return fail(ErrorCode::Corrupt, "header: found {}, expected an object", describe(event, text));
  }

  Status on_top(JsonEvent event, std::string_view text) {
    if (event == JsonEvent::ObjectEnd) {
      at_ = At::End;
      return {};
    }
    if (event == JsonEvent::Key) {
      name_ = text;
      return {};
    }
    if (event != JsonEvent::ObjectStart)
      return fail(ErrorCode::Corrupt, "tensor {}: found {}, expected an object", printable(name_),
                  describe(event, text));
    if (name_ == "__metadata__") {
      if (seen_metadata_)
        return fail(ErrorCode::Corrupt, "__metadata__: found twice, expected once");
      seen_metadata_ = true;
      at_ = At::Metadata;
      return {};
    }
    entry_ = {};
    entry_.name = name_;
    seen_ = field_ = kNone;
    offsets_.clear();
    at_ = At::Tensor;
    return {};
  }

  Status on_metadata(JsonEvent event, std::string_view text) {
    if (event == JsonEvent::ObjectEnd) {
      at_ = At::Top;
      return {};
    }
    if (event == JsonEvent::Key) {
      name_ = text;
      return {};
    }
    if (event != JsonEvent::String)
      return fail(ErrorCode::Corrupt, "__metadata__: {}: found {}, expected a string",
                  printable(name_), describe(event, text));
    if (!header.metadata.emplace(name_, text).second)
      return fail(ErrorCode::Corrupt, "__metadata__: {}: found twice, expected once",
                  printable(name_));
    return {};
  }

  Status on_tensor(JsonEvent event, std::string_view text) {
    if (event == JsonEvent::ObjectEnd) return finish_tensor();
    if (event == JsonEvent::Key) {
      field_ = text == "dtype"          ? kType
               : text == "shape"        ? kShape
               : text == "data_offsets" ? kOffsets
                                        : kNone;
      if (field_ == kNone)
        return fail_here("found field {}, expected dtype, shape and data_offsets", printable(text));
      if (seen_ & field_) return fail_here("found {} twice, expected once", text);
      seen_ |= field_;
      return {};
    }
    if (field_ == kType && event == JsonEvent::String) {
      entry_.type = text;
      return {};
    }
    if (field_ != kType && event == JsonEvent::ArrayStart) {
      at_ = field_ == kShape ? At::Shape : At::Offsets;
      return {};
    }
    return fail_here("{}: found {}, expected {}", field_name(), describe(event, text),
                     field_ == kType ? "a string" : "an array");
  }

  Status on_list(JsonEvent event, std::string_view text, std::uint64_t number) {
    if (event == JsonEvent::ArrayEnd) {
      at_ = At::Tensor;
      return {};
    }
    if (event != JsonEvent::Unsigned)
      return fail_here("{}: found {}, expected integers from 0", field_name(),
                       describe(event, text));
    if (number > kMaxInt)
      return fail_here("{}: found {}, expected at most {}", field_name(), number, kMaxInt);
    if (at_ == At::Shape) {
      if (entry_.dims.size() == kMaxRank)
        return fail_here("shape: found more than {} dimensions", kMaxRank);
      entry_.dims.push_back(static_cast<std::int64_t>(number));
    } else {
      if (offsets_.size() == 2) return fail_here("data_offsets: found more than 2 numbers");
      offsets_.push_back(number);
    }
    return {};
  }

  Status finish_tensor() {
    if (seen_ != kAll)
      return fail_here("found no {}, expected dtype, shape and data_offsets",
                       !(seen_ & kType)    ? "dtype"
                       : !(seen_ & kShape) ? "shape"
                                           : "data_offsets");
    if (offsets_.size() != 2 || offsets_[0] > offsets_[1])
      return fail_here("data_offsets: found [{}], expected a begin and an end not before it",
                       fmt::join(offsets_, ", "));
    entry_.offset = offsets_[0];
    entry_.bytes = offsets_[1] - offsets_[0];
    const Type* type = find_type(entry_.type);
    // Unknown types still need dims that multiply.
    const auto bytes = bytes_of_dims(entry_.dims, 1, type ? type->bits : 8);
    if (!bytes)
      return fail_here("shape: found {} of {}, expected a whole number of bytes below 2^63",
                       dims_to_string(entry_.dims), printable(entry_.type));
    if (type && *bytes != entry_.bytes)
      return fail_here("data_offsets: found {} bytes, expected {} for {} of shape {}", entry_.bytes,
                       *bytes, entry_.type, dims_to_string(entry_.dims));
    if (type) entry_.dtype = type->dtype;
    header.tensors.push_back(std::move(entry_));
    at_ = At::Top;
    return {};
  }

  std::string_view field_name() const {
    return field_ == kType ? "dtype" : field_ == kShape ? "shape" : "data_offsets";
  }

  template <typename... Args>
  Status fail_here(fmt::format_string<Args...> format, Args&&... args) const {
    return fail(ErrorCode::Corrupt, "tensor {}: {}", printable(name_),
                fmt::format(format, std::forward<Args>(args)...));
  }

  At at_ = At::Start;
  std::string name_;
  TensorEntry entry_;
  unsigned seen_ = kNone;
  unsigned field_ = kNone;
  std::vector<std::uint64_t> offsets_;
  bool seen_metadata_ = false;
};

// Sorted by their ranges, tensors follow each other from 0 to the end of the data.
Status check_ranges(const std::vector<TensorEntry>& tensors, std::uint64_t data_bytes,
                    std::string_view origin) {
  std::vector<std::size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(tensors[a].offset, tensors[a].bytes) <
           std::pair(tensors[b].offset, tensors[b].bytes);
  });
  std::uint64_t end = 0;
  for (const std::size_t i : order) {
    const TensorEntry& tensor = tensors[i];
    if (tensor.offset + tensor.bytes > data_bytes)
      return fail(ErrorCode::Corrupt,
                  "{}: tensor {}: data_offsets: found end {}, the file holds {} bytes of data "
                  "(is the download complete?)",
                  origin, printable(tensor.name), tensor.offset + tensor.bytes, data_bytes);
    if (tensor.offset != end)
      return fail(ErrorCode::Corrupt,
                  "{}: tensor {}: data_offsets: found begin {}, expected {}: {}", origin,
                  printable(tensor.name), tensor.offset, end,
                  tensor.offset < end ? "it overlaps the tensor before it"
                                      : "bytes before it belong to no tensor");
    end += tensor.bytes;
  }
  if (end != data_bytes)
    return fail(ErrorCode::Corrupt, "{}: found {} bytes of data, expected {} as the header says",
                origin, data_bytes, end);
  return {};
}

}  // namespace

Result<SafetensorsHeader> parse_safetensors(std::span<const std::byte> file,
                                            std::string_view origin) {
  std::uint64_t length = 0;
  if (file.size() < sizeof(length))
    return fail(ErrorCode::Corrupt,
                "{}: found {} bytes, expected a safetensors file: at least 8 for the header length",
                origin, file.size());
  std::memcpy(&length, file.data(), sizeof(length));
  const std::span<const std::byte> rest = file.subspan(sizeof(length));
  if (length > kMaxHeaderBytes)
    return fail(ErrorCode::TooLarge,
                "{}: header length: found {}, expected at most {}; this may be no safetensors file",
                origin, length, kMaxHeaderBytes);
  if (length > rest.size())
    return fail(ErrorCode::Corrupt, "{}: header length: found {}, the file has {} bytes after it",
                origin, length, rest.size());
  const std::string_view text(reinterpret_cast<const char*>(rest.data()), length);
  if (!text.starts_with('{'))
    return fail(ErrorCode::Corrupt,
                "{}: header: found no '{{' at its beginning; this is no "
                "safetensors file",
                origin);
  HeaderReader reader;
  MILLRACE_TRY(reader.read(text, origin));
  SafetensorsHeader& header = reader.header;
  MILLRACE_TRY(check_ranges(header.tensors, rest.size() - length, origin));
  for (TensorEntry& tensor : header.tensors) tensor.offset += sizeof(length) + length;
  return std::move(header);
}

}  // namespace millrace
