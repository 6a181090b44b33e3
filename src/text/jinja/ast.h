// The syntax tree of a template. Built by the parser, never changed afterwards, shared by threads.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "text/jinja/value.h"

namespace millrace::jinja::ast {

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;
struct Stmt;
using Body = std::vector<Stmt>;

enum class UnaryOp { Plus, Minus };
enum class BinaryOp { Add, Subtract, Multiply, Divide, FloorDivide, Modulo, Power };
enum class CompareOp { Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual, In, NotIn };

// f(1, *more, key=2, **others)
struct CallArguments {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> named;
  ExprPtr more_positional;  // null: none
  ExprPtr more_named;
};

struct Constant {
  Value value;  // number, text, true, false, none
};
struct Name {
  std::string name;
};
struct List {
  std::vector<ExprPtr> items;
};
struct Tuple {
  std::vector<ExprPtr> items;
};
struct Dict {
  std::vector<std::pair<ExprPtr, ExprPtr>> entries;
};
struct Unary {
  UnaryOp op;
  ExprPtr operand;
};
struct Binary {
  BinaryOp op;
  ExprPtr left, right;
};
struct Concat {  // a ~ b ~ c
  std::vector<ExprPtr> items;
};
struct Compare {  // a < b < c
  ExprPtr first;
  std::vector<std::pair<CompareOp, ExprPtr>> rest;
};
struct Not {
  ExprPtr operand;
};
struct And {
  ExprPtr left, right;
};
struct Or {
  ExprPtr left, right;
};
struct Conditional {      // yes if test else no
  ExprPtr test, yes, no;  // no may be null: undefined
};
struct Attribute {  // object.name
  ExprPtr object;
  std::string name;
};
struct Item {  // object[index]
  ExprPtr object, index;
};
struct Slice {  // object[start:stop:step], each may be null
  ExprPtr object, start, stop, step;
};
struct Call {
  ExprPtr callee;
  CallArguments arguments;
};
struct Filter {
  ExprPtr input;  // null: the text of the block that the filter stands over
  std::string name;
  CallArguments arguments;
};
struct Test {
  ExprPtr input;
  std::string name;
  CallArguments arguments;
};

struct Expr {
  int line = 0;
  int depth = 1;  // levels of expressions, to bound recursion
  std::variant<Constant, Name, List, Tuple, Dict, Unary, Binary, Concat, Compare, Not, And, Or,
               Conditional, Attribute, Item, Slice, Call, Filter, Test>
      node;
};

// What set, for and with assign to: a name, namespace.name, or several of them.
struct Target {
  std::string name;
  std::string attribute;         // of the namespace `name`; empty for a plain name
  std::vector<Target> elements;  // not empty: a tuple, and the others are unused
  bool is_tuple = false;
  int line = 0;
};

struct Text {
  Value text;
};
struct Output {
  ExprPtr value;
};
struct Set {
  Target target;
  ExprPtr value;
};
struct SetBlock {
  Target target;
  ExprPtr filter;  // a chain of Filter, or null
  Body body;
};
struct If {
  std::vector<std::pair<ExprPtr, Body>> branches;
  Body otherwise;
};
struct For {
  Target target;
  ExprPtr source;
  ExprPtr filter;  // or null
  Body body;
  Body otherwise;
};
// The parameters and body of a macro or of a call block.
struct Callable {
  std::string name;  // "caller" for a call block
  std::vector<std::string> parameters;
  std::vector<ExprPtr> defaults;  // of the last parameters
  Body body;
  bool uses_varargs = false, uses_kwargs = false, uses_caller = false;
};
struct Macro {
  Callable definition;
};
struct CallBlock {
  Callable definition;
  ExprPtr call;
};
struct FilterBlock {
  ExprPtr filter;
  Body body;
};
struct With {
  std::vector<std::pair<Target, ExprPtr>> assignments;
  Body body;
};
struct Generation {  // marks what a model said; only a scope to us
  Body body;
};
struct Break {};
struct Continue {};

struct Stmt {
  int line = 0;
  std::variant<Text, Output, Set, SetBlock, If, For, Macro, CallBlock, FilterBlock, With,
               Generation, Break, Continue>
      node;
};

}  // namespace millrace::jinja::ast
