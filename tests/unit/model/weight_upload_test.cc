#include "model/weight_upload.h"

#include <gtest/gtest.h>

#include <cstring>

#include "device/emulated/emulated_device.h"
#include "tensor/decode_row.h"
#include "tensor/half.h"

namespace millrace {
namespace {

// Bytes of any kind that decode to numbers: scales of quantised blocks stay small.
std::vector<std::byte> some_bytes(std::int64_t count) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < bytes.size(); ++i)
    bytes[i] = static_cast<std::byte>((i * 31 + i / 977) % 60);
  return bytes;
}

TEST(WeightUpload, BringsAndConvertsPiecesOfEverySize) {
  const auto device = make_emulated_device();
  struct Case {
    DType stored, kept;
    Shape shape;
  };
  const std::vector<Case> cases = {
      {DType::BF16, DType::BF16, {1500, 1024}}, {DType::F32, DType::F32, {3, 64}},
      {DType::F16, DType::F32, {1025, 1024}},   {DType::Q8_0, DType::BF16, {70, 32}},
      {DType::Q4_K, DType::BF16, {4100, 256}},  {DType::BF16, DType::BF16, {2048, 1024}}};
  std::vector<std::vector<std::byte>> sources;
  std::vector<DeviceBuffer> targets;
  {
    WeightUpload upload(*device);
    for (const Case& c : cases) {
      sources.push_back(some_bytes(bytes_of(c.stored, c.shape.elements())));
      targets.push_back(
          device->allocate(static_cast<std::size_t>(bytes_of(c.kept, c.shape.elements()))));
      upload.add(targets.back().as<void>(), c.kept, {sources.back().data(), c.stored, c.shape});
    }
    upload.finish();
    // And once more after an end.
    targets[1] = device->allocate(targets[1].bytes());
    upload.add(targets[1].as<void>(), DType::F32, {sources[1].data(), DType::F32, cases[1].shape});
    upload.finish();
  }
  for (std::size_t i = 0; i < cases.size(); ++i) {
    const std::int64_t count = cases[i].shape.elements();
    std::vector<float> expected(static_cast<std::size_t>(count)), found(expected.size());
    decode_row(cases[i].stored, sources[i].data(), count, expected.data());
    if (cases[i].kept == DType::BF16)
      for (float& v : expected) v = to_float(to_bf16(v));
    decode_row(cases[i].kept, targets[i].as<void>(), count, found.data());
    EXPECT_EQ(std::memcmp(expected.data(), found.data(), found.size() * sizeof(float)), 0) << i;
  }
}

TEST(WeightUpload, MayBeGivenUp) {
  const auto device = make_emulated_device();
  const std::vector<std::byte> source = some_bytes(64 << 20);
  const DeviceBuffer target = device->allocate(source.size());
  WeightUpload upload(*device);
  for (int i = 0; i < 8; ++i)
    upload.add(target.as<void>(), DType::BF16, {source.data(), DType::BF16, {32, 1 << 20}});
}

}  // namespace
}  // namespace millrace
