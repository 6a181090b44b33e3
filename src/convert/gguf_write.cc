#include "convert/gguf_write.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <limits>
#include <vector>

#include "base/progress.h"
#include "base/thread_pool.h"
#include "base/units.h"
#include "checkpoint/quantise.h"
#include "tensor/buffer.h"
#include "tensor/decode_row.h"

namespace millrace {
namespace {

constexpr std::int64_t kPieceBytes = 16 << 20;  // of float values: what is encoded between writes
constexpr float kMostF16 = 65504.0f;

// The largest magnitude that a type can hold: block scales are float16 as well.
float limit_of(DType dtype) {
  return dtype == DType::F32 || dtype == DType::BF16 ? std::numeric_limits<float>::max() : kMostF16;
}

// Consecutive rows of one part on their way into one tensor.
struct Rows {
  const std::byte* from = nullptr;
  DType source = DType::F32;
  DType target = DType::F32;
  std::int64_t columns = 0;
};

// The first value of a row that the target cannot hold.
const float* find_misfit(std::span<const float> values, DType target) {
  const float limit = limit_of(target);
  // A sum of comparisons, which compilers vectorise; NaN compares with nothing.
  int misfits = 0;
  for (const float value : values) misfits += !(std::fabs(value) <= limit);
  if (misfits == 0) return nullptr;
  return &*std::find_if(values.begin(), values.end(),
                        [&](float value) { return !(std::fabs(value) <= limit); });
}

class Encoder {
 public:
  explicit Encoder(int threads) : pool_(threads > 0 ? threads : available_cores()) {}

  // Encodes `count` rows to `out`; or says which value cannot be.
  Status encode(const Rows& rows, std::int64_t count, std::byte* out) {
    const std::int64_t from_bytes = bytes_of(rows.source, rows.columns);
    const std::int64_t to_bytes = bytes_of(rows.target, rows.columns);
    std::atomic<std::int64_t> misfit = count;  // the first row with one
    pool_.run_ranges(count, 1, [&](std::int64_t first, std::int64_t last) {
      if (rows.source == rows.target && is_quantised(rows.source)) {
        std::copy_n(rows.from + first * from_bytes, (last - first) * from_bytes,
                    out + first * to_bytes);
        return;
      }
      std::vector<float> values(static_cast<std::size_t>(rows.columns));
      for (std::int64_t row = first; row < last; ++row) {
        decode_row(rows.source, rows.from + row * from_bytes, rows.columns, values.data());
        if (find_misfit(values, rows.target)) {
          std::int64_t known = misfit;
          while (row < known && !misfit.compare_exchange_weak(known, row)) {
          }
          return;
        }
        quantise_row(rows.target, values.data(), rows.columns, out + row * to_bytes);
      }
    });
    if (misfit == count) return {};
    std::vector<float> values(static_cast<std::size_t>(rows.columns));
    decode_row(rows.source, rows.from + misfit * from_bytes, rows.columns, values.data());
    const float value = *find_misfit(values, rows.target);
    if (!std::isfinite(value))
      return fail(ErrorCode::Corrupt, "found {}, expected finite weights", value);
    return fail(ErrorCode::Unsupported, "found {}, {} holds at most {}", value,
                to_string(rows.target), limit_of(rows.target));
  }

 private:
  ThreadPool pool_;
};

Status write_part(const Checkpoint& source, const TensorView& part, const GgufTensorInfo& info,
                  Encoder& encoder, Buffer& piece, Progress& progress,
                  const std::atomic<bool>* cancelled, GgufWriter& writer) {
  const std::int64_t columns = info.shape.columns();
  const std::int64_t rows = part.shape.elements() / columns;
  const std::int64_t from_bytes = bytes_of(part.dtype, columns);
  const std::int64_t to_bytes = bytes_of(info.dtype, columns);
  const std::int64_t step = std::max<std::int64_t>(1, kPieceBytes / (columns * 4));
  for (std::int64_t first = 0; first < rows; first += step) {
    if (cancelled && *cancelled) return fail(ErrorCode::Cancelled, "interrupted");
    const std::int64_t count = std::min(step, rows - first);
    const auto bytes = static_cast<std::size_t>(count * to_bytes);
    if (piece.size() < bytes) piece = Buffer(bytes);
    MILLRACE_TRY(
        encoder.encode({part.as<std::byte>() + first * from_bytes, part.dtype, info.dtype, columns},
                       count, piece.as<std::byte>()));
    MILLRACE_TRY(writer.append({piece.as<std::byte>(), bytes}));
    source.forget({part.as<std::byte>() + first * from_bytes, part.dtype, {count, columns}});
    progress.advance(static_cast<std::uint64_t>(count * from_bytes));
  }
  return {};
}

Status check_space(const GgufPlan& plan, const std::string& path) {
  std::error_code failed;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  const auto space = std::filesystem::space(folder.empty() ? "." : folder, failed);
  const auto needed = static_cast<std::uint64_t>(plan.bytes()) + plan.keys.bytes().size();
  // Some file systems, of the kernel's own, do not say.
  if (failed || space.capacity == 0 || needed <= space.available) return {};
  return fail(ErrorCode::TooLarge, "{}: needs {}, the disk has {} left", path, format_bytes(needed),
              format_bytes(space.available));
}

}  // namespace

Result<std::uint64_t> write_gguf(const GgufPlan& plan, const std::string& path,
                                 const GgufWriteOptions& options) {
  MILLRACE_TRY(check_space(plan, path));
  std::vector<GgufTensorInfo> infos;
  for (const PlannedTensor& tensor : plan.tensors) infos.push_back(tensor.info);
  GgufWriter writer = MILLRACE_TRY(GgufWriter::create(path, plan.keys, std::move(infos)));
  Encoder encoder(options.threads);
  Buffer piece(0);
  Progress progress("quantizing", static_cast<std::uint64_t>(plan.source_bytes()));
  for (const PlannedTensor& tensor : plan.tensors) {
    for (const TensorView& part : tensor.parts) {
      const Status status = write_part(*plan.source, part, tensor.info, encoder, piece, progress,
                                       options.cancelled, writer);
      if (!status && status.error().code != ErrorCode::Corrupt &&
          status.error().code != ErrorCode::Unsupported)
        return tl::unexpected(status.error());
      if (!status)
        return fail_in(fmt::format("{}: tensor {}", plan.source->origin(), tensor.info.name),
                       status.error());
    }
  }
  MILLRACE_TRY(writer.finish());
  return writer.file_bytes();
}

}  // namespace millrace
