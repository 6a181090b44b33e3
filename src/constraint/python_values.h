// Rules for Python literals that fit JSON schemas: arguments of calls as LFM2 writes them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json_fwd.h"

namespace millrace {

class PythonValues {
 public:
  // Strict: what cannot be enforced is refused by name; else it is left to the model.
  explicit PythonValues(bool strict) : strict_(strict) {}

  // The name of a rule for values that fit `schema`, a part of `root`. Both must stay until
  // rules() has been called.
  Result<std::string> value(const Json& schema, const Json& root, const std::string& where);

  struct Member {
    std::string head;  // an expression for what stands before the value: a name and its sign
    std::string value;
    bool required;
  };
  // The name of a rule for members in a row, commas between. Few of them may come in any order, as
  // keyword arguments do, more in their own. `more`: an expression for further ones; empty: none.
  std::string members(const std::vector<Member>& all, const std::string& more);

  // All rules so far.
  const std::string& rules() const { return rules_; }

 private:
  std::string add(const std::string& body);
  std::string common(std::string_view name);
  std::string members_in_order(const std::vector<Member>& all, const std::string& more);
  Result<std::string> make(const Json& schema, const Json& root, const std::string& where);
  Result<std::string> of_type(const std::string& type, const Json& schema, const Json& root,
                              const std::string& where);
  Result<std::string> text(const Json& schema, const std::string& where);
  Result<std::string> integer(const Json& schema, const std::string& where);
  Result<std::string> list(const Json& schema, const Json& root, const std::string& where);
  Result<std::string> object(const Json& schema, const Json& root, const std::string& where);
  // An expression for one value.
  std::string literal(const Json& value);
  // Refuses keywords that are not enforced, or lets them pass.
  Status leave_out(const Json& schema, std::initializer_list<const char*> keywords,
                   const std::string& where) const;

  bool strict_;
  std::string rules_;
  int next_ = 0;
  int depth_ = 0;
  std::map<std::string, std::string, std::less<>> common_;  // names of rules that are there
  std::map<std::pair<const Json*, std::string>, std::string> refs_;
};

// An expression for the integers from low to high.
std::string integer_range(std::int64_t low, std::int64_t high);

}  // namespace millrace
