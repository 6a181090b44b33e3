#include "ops/op_cases.h"
#include "ops/rms_norm/rms_norm.h"

namespace millrace {

std::vector<OpCase> rms_norm_cases() {
  std::vector<OpCase> cases;
  struct Dims {
    std::int64_t columns, rows;
    bool gather, full_size;
  };
  for (const Dims d :
       {Dims{1, 3, false, false}, Dims{7, 2, false, false}, Dims{64, 5, true, false},
        Dims{133, 4, false, false}, Dims{2048, 3, true, false}, Dims{1024, 70, false, false},
        Dims{2048, 1, false, true}, Dims{2048, 512, false, true}}) {
    OpCase c;
    c.op = RmsNorm::kName;
    c.type = "f32";
    c.name = fmt::format("columns {} rows {}{}", d.columns, d.rows, d.gather ? " gathered" : "");
    c.full_size = d.full_size;
    c.bytes = static_cast<double>(8 * d.rows * d.columns);
    c.flops = static_cast<double>(4 * d.rows * d.columns);
    c.absolute = 1e-6f;
    c.relative = 4e-6f;  // the float sum of squares, halved by the root, and three products
    c.make = [=] {
      auto instance = std::make_unique<TypedInstance<RmsNorm>>();
      instance->key = {DType::F32, d.columns};
      RmsNormParams& p = instance->params;
      p.in = instance->matrix(d.rows + 3, d.columns, 3);
      p.gather = d.gather ? instance->integers(d.rows,
                                               [&](std::int64_t i) {
                                                 return static_cast<std::int32_t>(d.rows + 2 - i);
                                               })
                          : nullptr;
      p.weight = instance->floats(d.columns, 0.2, 1);
      p.out = instance->matrix(d.rows, d.columns, 0);
      p.rows = d.rows;
      p.epsilon = 1e-5f;
      instance->writes(p.out, d.rows, false);
      return instance;
    };
    cases.push_back(std::move(c));
  }
  return cases;
}

}  // namespace millrace
