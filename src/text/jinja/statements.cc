#include "text/jinja/compare.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/repr.h"

namespace millrace::jinja {

std::string Interpreter::run(const ast::Body& body) {
  Output output{.text = {}, .limit = heap_.limits().output_bytes};
  output_ = &output;
  run_body(body);
  output_ = nullptr;
  return std::move(output.text);
}

Interpreter::Flow Interpreter::run_body(const ast::Body& body) {
  const Nested nested(heap_);
  for (const ast::Stmt& statement : body) {
    heap_.step();
    line_ = statement.line;
    const Flow flow = std::visit([this](const auto& node) { return run(node); }, statement.node);
    if (flow != Flow::Next) return flow;
  }
  return Flow::Next;
}

Interpreter::Flow Interpreter::run_scoped(const ast::Body& body) {
  const auto outer = scope_;
  scope_ = std::make_shared<Scope>(outer);
  const Flow flow = run_body(body);
  scope_ = outer;
  return flow;
}

void Interpreter::emit(std::string_view text) {
  heap_.work(text.size());
  if (text.size() > output_->limit - output_->text.size())
    raise_too_large("an output of more than {} bytes", output_->limit);
  heap_.charge(text.size());
  output_->text += text;
}

void Interpreter::emit(const Value& value) {
  if (value.is_str()) return emit(value.text());
  if (value.is_undefined()) return;
  TextBuilder text(heap_);
  add_str(text, value);
  emit(text.text());
}

std::pair<Value, Interpreter::Flow> Interpreter::capture(const ast::Body& body) {
  Output output{.text = {}, .limit = heap_.limits().value_bytes};
  Output* const outer = std::exchange(output_, &output);
  const Flow flow = run_scoped(body);
  output_ = outer;
  heap_.release(output.text.size());  // counted again as the value's
  return {heap_.str(std::move(output.text)), flow};
}

Interpreter::Flow Interpreter::run(const ast::Text& statement) {
  emit(statement.text.text());
  return Flow::Next;
}

Interpreter::Flow Interpreter::run(const ast::Output& statement) {
  emit(evaluate(*statement.value));
  return Flow::Next;
}

Interpreter::Flow Interpreter::run(const ast::Set& statement) {
  assign(statement.target, evaluate(*statement.value));
  return Flow::Next;
}

Interpreter::Flow Interpreter::run(const ast::SetBlock& statement) {
  auto [text, flow] = capture(statement.body);
  if (flow != Flow::Next) return flow;
  if (statement.filter) text = apply_filters(*statement.filter, std::move(text));
  assign(statement.target, text);
  return Flow::Next;
}

Interpreter::Flow Interpreter::run(const ast::If& statement) {
  for (const auto& [test, body] : statement.branches)
    if (truth(evaluate(*test))) return run_body(body);
  return run_body(statement.otherwise);
}

Interpreter::Flow Interpreter::run(const ast::For& statement) {
  const auto outer = scope_;
  LoopObject::Filter accepts;
  if (statement.filter) {
    // Asked for each item when its turn comes: it may depend on what the body did before.
    accepts = [this, &statement, outer](const Value& item) {
      const auto inside = std::exchange(scope_, std::make_shared<Scope>(outer));
      assign(statement.target, item);
      const bool accepted = truth(evaluate(*statement.filter));
      scope_ = inside;
      return accepted;
    };
  }
  const Value source = evaluate(*statement.source);
  const Value loop =
      heap_.pin(Kind::Loop, std::make_unique<LoopObject>(heap_, source, std::move(accepts)),
                sizeof(LoopObject));
  LoopObject& state = loop_of(loop);
  Flow flow = Flow::Next;
  bool completed = false;  // a round of the body; else runs when none was
  while (flow != Flow::Break && state.advance(heap_)) {
    scope_ = std::make_shared<Scope>(outer);
    scope_->set("loop", loop);
    assign(statement.target, state.current());
    flow = run_body(statement.body);
    completed = completed || flow == Flow::Next;
  }
  scope_ = outer;
  state.finish();
  return completed ? Flow::Next : run_scoped(statement.otherwise);
}

Interpreter::Flow Interpreter::run(const ast::Macro& statement) {
  scope_->set(statement.definition.name, make_macro(statement.definition));
  return Flow::Next;
}

Interpreter::Flow Interpreter::run(const ast::CallBlock& statement) {
  const auto& call_expr = std::get<ast::Call>(statement.call->node);
  const Value callee = evaluate(*call_expr.callee);
  Arguments arguments = evaluate_arguments(call_expr.arguments);
  arguments.named.emplace_back("caller", make_macro(statement.definition));
  emit(call(callee, arguments));
  return Flow::Next;
}

Interpreter::Flow Interpreter::run(const ast::FilterBlock& statement) {
  auto [text, flow] = capture(statement.body);
  if (flow != Flow::Next) return flow;
  emit(apply_filters(*statement.filter, std::move(text)));
  return Flow::Next;
}

Interpreter::Flow Interpreter::run(const ast::With& statement) {
  const auto outer = scope_;
  // The values do not see one another.
  std::vector<Value> values;
  for (const auto& [target, expr] : statement.assignments) values.push_back(evaluate(*expr));
  scope_ = std::make_shared<Scope>(outer);
  for (std::size_t i = 0; i < values.size(); ++i) assign(statement.assignments[i].first, values[i]);
  const Flow flow = run_body(statement.body);
  scope_ = outer;
  return flow;
}

Interpreter::Flow Interpreter::run(const ast::Generation& statement) {
  return run_scoped(statement.body);
}

void Interpreter::assign(const ast::Target& target, const Value& value) {
  if (target.is_tuple) {
    const std::vector<Value> items = all_items(heap_, value);
    if (items.size() != target.elements.size())
      raise("found {} values to unpack, expected {}", items.size(), target.elements.size());
    for (std::size_t i = 0; i < items.size(); ++i) assign(target.elements[i], items[i]);
    return;
  }
  if (target.attribute.empty()) return scope_->set(target.name, value);
  const Value* object = scope_->find(target.name);
  if (!object || !object->is(Kind::Namespace))
    raise("cannot set '{}.{}': '{}' is not a namespace", target.name, target.attribute,
          target.name);
  namespace_of(*object).set(target.attribute, value);
}

Value Interpreter::make_macro(const ast::Callable& definition) {
  auto macro = std::make_unique<MacroObject>();
  macro->definition = &definition;
  macro->name = definition.name;
  macro->closure = scope_;
  return heap_.pin(Kind::Macro, std::move(macro), sizeof(MacroObject));
}

void Interpreter::bind_parameters(const ast::Callable& macro, const Arguments& arguments,
                                  Scope& scope) {
  const auto& given = arguments.positional;
  const auto& names = macro.parameters;
  if (given.size() > names.size() && !macro.uses_varargs)
    raise("macro '{}' takes at most {} arguments, found {}", macro.name, names.size(),
          given.size());
  std::vector<bool> used(arguments.named.size(), false);
  const auto take_named = [&](std::string_view name) -> const Value* {
    for (std::size_t i = 0; i < used.size(); ++i) {
      if (arguments.named[i].first != name) continue;
      used[i] = true;
      return &arguments.named[i].second;
    }
    return nullptr;
  };
  const std::size_t first_default = names.size() - macro.defaults.size();
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (i < given.size())
      scope.set(names[i], given[i]);
    else if (const Value* value = take_named(names[i]))
      scope.set(names[i], *value);
    else if (i >= first_default)
      scope.set(names[i], evaluate(*macro.defaults[i - first_default]));
    else
      scope.set(names[i], heap_.undefined("parameter '{}' was not provided", names[i]));
  }
  if (macro.uses_caller && !scope.find("caller")) {
    const Value* caller = take_named("caller");
    scope.set("caller", caller ? *caller : heap_.undefined("no caller was given"));
  }
  if (macro.uses_varargs) {
    const std::size_t from = std::min(names.size(), given.size());
    scope.set("varargs",
              heap_.tuple({given.begin() + static_cast<std::ptrdiff_t>(from), given.end()}));
  }
  auto rest = macro.uses_kwargs ? heap_.new_dict() : nullptr;
  for (std::size_t i = 0; i < used.size(); ++i) {
    if (used[i]) continue;
    const auto& [name, value] = arguments.named[i];
    if (!rest) raise("macro '{}' takes no argument '{}'", macro.name, name);
    rest->set(heap_.str(name), value);
  }
  if (rest) scope.set("kwargs", heap_.dict(std::move(rest)));
}

Value Interpreter::call_macro(const Value& macro, const Arguments& arguments) {
  const Nested nested(heap_);
  const MacroObject& object = macro_of(macro);
  const ast::Callable& definition = *object.definition;
  const auto outer = std::exchange(scope_, std::make_shared<Scope>(object.closure));
  const int line = line_;
  bind_parameters(definition, arguments, *scope_);
  Value text = capture(definition.body).first;
  scope_ = outer;
  line_ = line;
  return text;
}

}  // namespace millrace::jinja
