#include "ops/embedding/embedding.h"
#include "ops/op_cases.h"

namespace millrace {

std::vector<OpCase> embedding_cases() {
  std::vector<OpCase> cases;
  for (const DType dtype :
       {DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q4_0, DType::Q4_1, DType::Q5_0,
        DType::Q5_1, DType::Q4_K, DType::Q5_K, DType::Q6_K}) {
    for (const std::int64_t rows : {1, 9}) {
      OpCase c;
      c.op = Embedding::kName;
      c.type = to_string(dtype);
      c.name = fmt::format("{} hidden 512 rows {}", c.type, rows);
      c.bytes = static_cast<double>(rows * (bytes_of(dtype, 512) + 512 * 4));
      c.make = [=] {
        auto instance = std::make_unique<TypedInstance<Embedding>>();
        instance->key = {dtype, DType::F32, 512};
        EmbeddingParams& p = instance->params;
        p.table = {instance->random_values(dtype, 40 * 512, 1), dtype, {40, 512}};
        p.tokens =
            instance->integers(rows, [](std::int64_t i) { return std::int32_t(i * 13 % 40); });
        p.out = instance->matrix(rows, 512, 0);
        p.rows = rows;
        instance->writes(p.out, rows, false);
        return instance;
      };
      cases.push_back(std::move(c));
    }
  }
  return cases;
}

}  // namespace millrace
