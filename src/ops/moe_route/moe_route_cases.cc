#include "ops/moe_route/moe_route.h"
#include "ops/op_cases.h"

namespace millrace {

std::vector<OpCase> moe_route_cases() {
  std::vector<OpCase> cases;
  struct Dims {
    int experts, top_k;
    std::int64_t rows;
    bool bias, normalise;
  };
  for (const Dims d :
       {Dims{1, 1, 2, false, true}, Dims{8, 3, 5, true, true}, Dims{16, 4, 9, true, false},
        Dims{32, 4, 33, true, true}, Dims{64, 4, 7, false, true}, Dims{64, 64, 2, true, true}}) {
    OpCase c;
    c.op = MoeRoute::kName;
    c.type = "f32";
    c.name = fmt::format("experts {} top {} rows {}{}{}", d.experts, d.top_k, d.rows,
                         d.bias ? " bias" : "", d.normalise ? "" : " raw");
    c.bytes = static_cast<double>(d.rows * (4 * d.experts + 8 * d.top_k));
    c.absolute = 1e-6f;
    c.relative = 2e-6f;
    c.make = [=] {
      auto instance = std::make_unique<TypedInstance<MoeRoute>>();
      instance->key = {DType::F32, d.experts, d.top_k};
      MoeRouteParams& p = instance->params;
      p.logits = instance->matrix(d.rows, d.experts, 2);
      p.bias = d.bias ? instance->floats(d.experts, 0.3) : nullptr;
      p.experts = instance->integers(d.rows * d.top_k, [](std::int64_t) { return 0; });
      p.weights = instance->floats(d.rows * d.top_k, 0);
      p.rows = d.rows;
      p.top_k = d.top_k;
      p.normalise = d.normalise;
      p.scale = 1.5f;
      instance->writes(p.experts, DType::I32, d.rows * d.top_k, false);
      instance->writes(p.weights, DType::F32, d.rows * d.top_k, false);
      return instance;
    };
    cases.push_back(std::move(c));
  }
  return cases;
}

}  // namespace millrace
