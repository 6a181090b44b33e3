#include "ops/op_cases.h"
#include "ops/silu_mul/silu_mul.h"

namespace millrace {

std::vector<OpCase> silu_mul_cases() {
  std::vector<OpCase> cases;
  struct Dims {
    std::int64_t columns, rows;
    double deviation;
    bool full_size;
  };
  for (const Dims d : {Dims{1, 2, 1, false}, Dims{33, 3, 4, false}, Dims{160, 5, 1, false},
                       Dims{512, 3, 40, false},  // e^-x under- and overflows
                       Dims{4608, 9, 2, false}, Dims{8192, 1, 1, true}, Dims{8192, 512, 1, true}}) {
    OpCase c;
    c.op = SiluMul::kName;
    c.type = "f32";
    c.name = fmt::format("columns {} rows {} inputs x{}", d.columns, d.rows, d.deviation);
    c.full_size = d.full_size;
    c.bytes = static_cast<double>(12 * d.rows * d.columns);
    c.flops = static_cast<double>(20 * d.rows * d.columns);
    c.absolute = 1e-7f;
    c.relative = 2e-6f;
    c.make = [=] {
      auto instance = std::make_unique<TypedInstance<SiluMul>>();
      instance->key = {DType::F32, d.columns};
      SiluMulParams& p = instance->params;
      p.gate = instance->matrix(d.rows, d.columns, d.deviation);
      p.up = instance->matrix(d.rows, d.columns, 1);
      p.out = p.gate;  // as the model uses it
      p.rows = d.rows;
      instance->writes(p.out, d.rows, true);
      return instance;
    };
    cases.push_back(std::move(c));
  }
  return cases;
}

}  // namespace millrace
