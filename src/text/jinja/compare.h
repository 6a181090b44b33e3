// Truth, equality, order and membership as Python has them.
#pragma once

#include <cstdint>
#include <string_view>

#include "text/jinja/value.h"

namespace millrace::jinja {

bool truth(const Value& value);

// 1 == 1.0 == true; a list never equals a tuple; dicts ignore order.
bool equal(Heap& heap, const Value& a, const Value& b);

// a < b. Raises for kinds that have no order between them.
bool less(Heap& heap, const Value& a, const Value& b);

enum class Order { Less, LessEqual, Greater, GreaterEqual };
bool ordered(Heap& heap, const Value& a, Order order, const Value& b);

// item in container. Raises when the container cannot be searched.
bool contains(Heap& heap, const Value& container, const Value& item);

// `is sameas`: the same object, or the same None, True, False or small number.
bool same(const Value& a, const Value& b);

// Equal values have equal hashes. Raises for lists and dicts.
std::uint64_t hash_value(Heap& heap, const Value& value);
std::uint64_t hash_text(std::string_view text);

}  // namespace millrace::jinja
