#include "ops/sequence_cases.h"
#include "ops/short_conv/short_conv.h"

namespace millrace {
namespace {

OpCase conv_case(int taps, std::int64_t channels, int extra, bool bias, std::vector<CaseSpan> spans,
                 bool full_size) {
  OpCase c;
  c.op = ShortConv::kName;
  c.type = "f32";
  c.name = fmt::format("taps {} channels {} ring +{}{}: {}", taps, channels, extra,
                       bias ? " bias" : "", describe(spans));
  c.full_size = full_size;
  std::int64_t rows = 0;
  for (const CaseSpan& span : spans) rows += span.count;
  c.bytes = static_cast<double>(
      4 * channels * (4 * rows + 2 * (taps - 1) * static_cast<std::int64_t>(spans.size())));
  c.flops = static_cast<double>(rows * channels * (2 * taps + 2));
  c.absolute = 2e-6f;
  c.relative = 2e-6f;
  c.make = [=] {
    auto instance = std::make_unique<TypedInstance<ShortConv>>();
    instance->key = {DType::F32, channels, taps};
    ShortConvParams& p = instance->params;
    p.batch = make_batch(*instance, spans).view;
    p.gates = instance->matrix(rows, 3 * channels, 1);
    p.kernel = instance->floats(taps * channels, 0.5);
    p.bias = bias ? instance->floats(channels, 1) : nullptr;
    p.taps = taps;
    p.state.ring = std::max(1, taps - 1 + extra);
    p.state.channels = channels;
    const std::int64_t slots = static_cast<std::int64_t>(spans.size()) + 1;  // one that is no one's
    p.state.columns = instance->floats(slots * p.state.ring * channels, 1);
    p.out = instance->matrix(rows, channels, 0);
    instance->writes(p.out, rows, false);
    instance->writes(p.state.columns, DType::F32, slots * p.state.ring * channels, true);
    return instance;
  };
  return c;
}

}  // namespace

std::vector<OpCase> short_conv_cases() {
  const std::vector<CaseSpan> mixed = {{0, 5}, {7, 1}, {1, 1}, {2, 3}, {40, 9, true}, {0, 1}};
  std::vector<OpCase> cases;
  for (const int taps : {1, 2, 3, 4, 7, 11})
    for (const int extra : {0, 1, 5})
      cases.push_back(conv_case(taps, 37, extra, taps % 2 == 0, mixed, false));
  cases.push_back(conv_case(3, 64, 0, false, {{0, 200}}, false));
  cases.push_back(conv_case(3, 640, 2, true, {{3, 70}, {0, 2}}, false));
  cases.push_back(conv_case(3, 2048, 0, false, {{1000, 1}}, true));
  cases.push_back(conv_case(3, 2048, 0, false, {{0, 512}}, true));
  return cases;
}

}  // namespace millrace
