// Values of the template language, with Python's meaning: immutable and shared, but for namespaces.
//
// Everything that builds, prints or compares values is charged to a Budget, so that no template can take more
// time or memory than its limits say.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "nlohmann/json.hpp"

namespace weft::jinja {

// Thrown within runtime/text alone; ChatTemplate gives a status.
struct Error {
  std::string message;
  int line = 0;         // of the template; 0 = not known yet
  bool raised = false;  // by the template's own raise_exception
  bool limited = false; // a limit was met
};
[[noreturn]] void Fail(std::string message);

struct Limits {
  int64_t steps = 10'000'000;      // nodes evaluated, elements and 32 bytes of text made
  size_t text_bytes = 16 << 20;    // of one string, and of the output
  size_t template_bytes = 1 << 20; // of the source
  int depth = 500;                 // of nested evaluation, macros that call each other included
  int nesting = 100;               // of expressions and blocks in the source, and of lists in lists
  int64_t range = 100'000;         // elements of range(), as in jinja2's sandbox
};

// What a render may still use up.
class Budget {
public:
  explicit Budget(const Limits &limits) : limits(limits), left_(limits.steps) {}
  void Charge(int64_t steps);
  void ChargeText(size_t bytes); // one string of so many bytes
  const Limits limits;

private:
  friend class Deeper;
  int64_t left_;
  int depth_ = 0;
};

// One level of recursion while it lives.
class Deeper {
public:
  explicit Deeper(Budget &budget);
  ~Deeper() { --budget_.depth_; }
  Deeper(const Deeper &) = delete;

private:
  Budget &budget_;
};

enum class Kind : uint8_t {
  undefined, // what a name or key that is not there gives: prints as nothing, is false, has no elements
  none,
  boolean,
  integer,
  real,
  string,
  list,
  tuple,
  range,
  view,      // of a dict: its keys(), values() or items()
  generator, // what map, select and the like give: can be gone through once
  dict,
  name_space,
  macro,
  function, // of the language: range, namespace, …
  method,   // of a string, dict or list, with what it belongs to
  loop,
};

struct Object {
  virtual ~Object() = default;
};

class Value {
public:
  Value() = default; // undefined
  static Value None();
  static Value Bool(bool value);
  static Value Integer(int64_t value);
  static Value Real(double value);
  static Value Text(std::string value, Budget &budget);
  static Value Constant(std::string value); // a literal of the template, which is bounded by its source
  static Value Undefined(std::string why);  // what an error about it says: "'x' is undefined"
  static Value Of(Kind kind, std::shared_ptr<Object> object);

  Kind kind = Kind::undefined;
  bool markup = false; // a string that passed through `safe`
  union {
    int64_t integer = 0; // a boolean's too
    double real;
  };

  bool Is(Kind other) const { return kind == other; }
  bool IsSequence() const { return kind >= Kind::list && kind <= Kind::generator; }
  bool IsNumber() const { return kind == Kind::boolean || kind == Kind::integer || kind == Kind::real; }
  bool IsWhole() const { return kind == Kind::boolean || kind == Kind::integer; }
  const std::string &text() const; // of a string; the reason of an undefined value
  const struct Sequence &sequence() const;
  const struct Dict &dict() const;
  template <typename T> std::shared_ptr<T> object() const { return std::static_pointer_cast<T>(object_); }

private:
  std::shared_ptr<Object> object_;
};

struct TextObject : Object {
  explicit TextObject(std::string value) : value(std::move(value)) {}
  const std::string value;
};

using List = std::vector<Value>;

struct Sequence : Object {
  List items;
  int depth = 1;             // of lists in lists
  mutable bool used = false; // a generator that was gone through
};
Value MakeSequence(Kind kind, List items, Budget &budget);

// In the order of insertion.
struct Dict : Object {
  std::vector<std::pair<Value, Value>> entries;
  std::unordered_map<std::string, size_t> index; // by KeyOf
  int depth = 1;

  const Value *Find(const Value &key) const; // null if there is none; a key that cannot be hashed fails
  void Set(Value key, Value value, Budget &budget);
};
// Equal values have equal keys: 1, 1.0 and true are one.
std::string KeyOf(const Value &value);

struct Namespace : Object {
  std::vector<std::pair<std::string, Value>> attributes;
  const Value *Find(std::string_view name) const;
  void Set(std::string_view name, Value value, Budget &budget);
};

// A method of `self`, or a function of the language without it.
struct Method : Object {
  Value self;
  std::string name;
};

const char *KindName(const Value &value); // as Python calls the type: "str", "dict"
bool IsTrue(const Value &value);
std::string ToText(const Value &value, Budget &budget); // Python's str()
std::string ToRepr(const Value &value, Budget &budget); // Python's repr()
bool Equal(const Value &a, const Value &b, Budget &budget);
bool Less(const Value &a, const Value &b, Budget &budget); // fails for values without an order
// What a value gives when it is gone through; it keeps the elements alive, so that a loop may be over a call.
class Elements {
public:
  explicit Elements(std::shared_ptr<const Sequence> sequence) : sequence_(std::move(sequence)) {}
  List::const_iterator begin() const { return sequence_->items.begin(); }
  List::const_iterator end() const { return sequence_->items.end(); }
  size_t size() const { return sequence_->items.size(); }
  const Value &operator[](size_t i) const { return sequence_->items[i]; }

private:
  std::shared_ptr<const Sequence> sequence_;
};
// The elements: of a string its characters, of a dict its keys.
Elements Iterate(const Value &value, Budget &budget);
bool Contains(const Value &container, const Value &item, Budget &budget);

Value FromJson(const nlohmann::ordered_json &json, Budget &budget);

struct JsonStyle {
  bool ascii = false, sort_keys = false;
  bool indented = false;
  std::string indent, item_separator = ", ", key_separator = ": ";
};
// Python's json.dumps.
std::string ToJson(const Value &value, const JsonStyle &style, Budget &budget);

} // namespace weft::jinja
