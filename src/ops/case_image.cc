#include "ops/case_image.h"

#include <bit>
#include <cstring>

#include "base/check.h"
#include "ops/case_data.h"
#include "tensor/half.h"

namespace millrace {
namespace {

std::size_t padded(std::size_t bytes) {
  return (bytes + 255) / 256 * 256;
}

BF16 narrowed(float value) {
  if (std::bit_cast<std::uint32_t>(value) == kPoisonBits) return {kPoisonHalf};
  return to_bf16(value);
}

float widened(BF16 value) {
  if (value.bits == kPoisonHalf) return std::bit_cast<float>(kPoisonBits);
  return to_float(value);
}

}  // namespace

CaseImage::CaseImage(Device& device, DType activation, const std::vector<CaseMemory>& memory,
                     std::int64_t copies)
    : device_(device), copies_(copies) {
  for (const CaseMemory& host : memory) {
    if (host.bytes == 0) continue;
    const bool narrow = host.is_activation && activation == DType::BF16;
    const auto bytes = static_cast<std::size_t>(narrow ? host.bytes / 2 : host.bytes);
    const std::size_t all = padded(bytes) * static_cast<std::size_t>(copies - 1) + bytes;
    places_.push_back({host, narrow, bytes, padded(bytes), device.allocate(all)});
  }
}

std::int64_t CaseImage::bytes_for(const std::vector<CaseMemory>& memory) {
  std::size_t bytes = 0;
  for (const CaseMemory& host : memory) bytes += padded(static_cast<std::size_t>(host.bytes));
  return static_cast<std::int64_t>(bytes);
}

void CaseImage::upload(Stream& stream) {
  std::vector<BF16> halves;
  for (const Place& place : places_) {
    const void* from = place.host.data;
    if (place.narrow) {
      halves.resize(place.bytes / sizeof(BF16));
      const auto* floats = static_cast<const float*>(place.host.data);
      for (std::size_t i = 0; i < halves.size(); ++i) halves[i] = narrowed(floats[i]);
      from = halves.data();
    }
    for (std::int64_t copy = 0; copy < copies_; ++copy)
      device_.copy_in(place.copy(copy), from, place.bytes, stream);
    device_.synchronize(stream);  // `halves` are used again
  }
}

bool CaseImage::download(Stream& stream) {
  bool intact = true;
  std::vector<std::byte> bytes;
  for (const Place& place : places_) {
    bytes.resize(place.bytes);
    device_.copy_out(bytes.data(), place.copy(0), place.bytes, stream);
    device_.synchronize(stream);
    const bool written = place.host.use == CaseMemory::Use::Written;
    if (!place.narrow) {
      if (written)
        std::memcpy(place.host.data, bytes.data(), bytes.size());
      else
        intact &= std::memcmp(place.host.data, bytes.data(), bytes.size()) == 0;
      continue;
    }
    auto* floats = static_cast<float*>(place.host.data);
    for (std::size_t i = 0; i < bytes.size() / sizeof(BF16); ++i) {
      BF16 half;
      std::memcpy(&half, bytes.data() + i * sizeof(BF16), sizeof(half));
      if (written)
        floats[i] = widened(half);
      else
        intact &= narrowed(floats[i]).bits == half.bits;
    }
  }
  return intact;
}

const CaseImage::Place& CaseImage::place_of(const void* host) const {
  const auto address = reinterpret_cast<std::uintptr_t>(host);
  for (const Place& place : places_) {
    const auto first = reinterpret_cast<std::uintptr_t>(place.host.data);
    if (address >= first && address < first + static_cast<std::uintptr_t>(place.host.bytes))
      return place;
  }
  check(false, "a case points into memory that it does not name");
  return places_.front();
}

const void* CaseImage::moved(const void* host, std::int64_t copy) const {
  if (host == nullptr) return nullptr;
  const Place& place = place_of(host);
  const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(host) -
                                               static_cast<const std::byte*>(place.host.data));
  return place.copy(copy) + (place.narrow ? offset / 2 : offset);
}

void CaseImage::move(MatrixView& view, std::int64_t copy) const {
  if (view.data == nullptr) return;
  if (place_of(view.data).narrow) {
    check(view.dtype == DType::F32, "activations of a case are floats on the host");
    view.dtype = DType::BF16;
  }
  move(view.data, copy);
}

void CaseImage::move(KvView& view, std::int64_t copy) const {
  move(view.key, copy);
  move(view.value, copy);
}

void CaseImage::move(BatchView& view, std::int64_t copy) const {
  move(view.spans, copy);
  move(view.row_spans, copy);
  move(view.block_tables, copy);
}

}  // namespace millrace
