// The seam between model code and the compiler: model code is compiled against these light headers and calls
// a Builder, which the compiler implements by making graph dialect ops. No MLIR here.
#pragma once
#include <cstdint>
#include <source_location>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace weft {

using i64 = int64_t;
// bf16 is what a variable is kept in; nothing is computed in it but by a pass (docs/compiler.md: precision).
enum class DType : uint8_t { f32 = 0, f64 = 1, i32 = 2, i64 = 3, boolean = 4, bf16 = 5 };
using Shape = std::vector<i64>;

// A place in the model's source, and the module path ("layers.self_attn") at that moment.
struct SourceLine {
  const char *file = "";
  uint32_t line = 0, column = 0;
  const char *function = "";
};

// A tensor in the program under construction: a handle, its shape and its element type.
struct Value {
  uint32_t id = UINT32_MAX; // UINT32_MAX: none
  DType dtype = DType::f32;
  Shape shape;
};

// An attribute of a graph op, named as in the dialect's TableGen.
struct Attribute {
  std::string_view name;
  std::variant<i64, double, std::vector<i64>, std::string, bool, DType> value;
};

enum class InitKind : uint8_t { zeros = 0, ones = 1, normal = 2, uniform = 3, constant = 4 };
enum class VariableKind : uint8_t { parameter = 0, optimizer = 1, cache = 2, other = 3 };

struct Variable {
  std::string path;      // unique: "layers.self_attn.q_proj.weight"
  std::string file_name; // Hugging Face's: "model.layers.{}.self_attn.q_proj.weight"; {} only inside a repeat
  Shape shape;           // of one layer
  DType dtype = DType::f32;
  VariableKind kind = VariableKind::parameter;
  InitKind init = InitKind::zeros;
  double init_scale = 0;   // normal: standard deviation; uniform: half width; constant: the value
  bool decay = false;      // weight decay applies
  double balance_rate = 0; // more than 0: no optimiser's, its gradient is a load (optimisers/balance.h)
  // Outside a repeat, for a variable that lives inside one: `shape` is then the whole stack, whose first
  // dimension is `layers`, numbered from `layer_begin`. accumulate_gradients fills both in its pairs;
  // variable() takes both for an optimiser's state of the same layout. 0: not stacked.
  i64 layers = 0, layer_begin = 0;
};

// Thrown out of model code when it is wrong; what() names the model's lines and the shapes.
struct ModelError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Builder {
public:
  virtual ~Builder() = default;

  // The line blamed for ops made from here on. The outermost layer call on the stack wins over what is inside
  // it; operators called directly from model code push their own line. Strings must outlive the program
  // (source_location's do).
  virtual void push_line(SourceLine line) = 0;
  virtual void pop_line() = 0;
  // The module path, for names in remarks and profiles.
  virtual void set_path(const std::string &path) = 0;

  // Adds graph.<name>; result types are inferred. Attributes are named as in the dialect: enums are their i64
  // value; iota's and cast's types come as `shape` (iota) and `element` (a DType); unit attributes as true;
  // defaulted ones may be absent.
  virtual std::vector<Value> op(std::string_view name, const std::vector<Value> &operands,
                                const std::vector<Attribute> &attributes) = 0;
  // A constant with one value per element (small tables); `values` has the product of shape, or one element
  // for a splat.
  virtual Value constant(DType dtype, const Shape &shape, const std::vector<double> &values) = 0;

  // The variable's value in the current function. Inside a repeat it is the current layer's slice of a
  // stacked variable. Asking again for the same path gives the same variable (a tied weight); a different
  // shape then is an error.
  virtual Value variable(const Variable &v) = 0;
  // Sets a variable, inside a repeat too (a KV cache).
  virtual void assign(const std::string &path, Value value) = 0;

  // Functions. begin_function starts one with the given parameters and returns their values; tensors of
  // enclosing functions may be used inside: they, and variables, become further parameters by themselves.
  // end_function gives its handle.
  virtual std::vector<Value> begin_function(const std::string &name, const std::vector<Value> &like) = 0;
  virtual int end_function(const std::vector<Value> &results) = 0;

  // graph.repeat over [begin, end): body(carry…, slices of stacked…) -> (carry…, slice results…); returns
  // carries, then stacked results.
  virtual std::vector<Value> repeat(int body, const std::vector<Value> &carry,
                                    const std::vector<Value> &stacked, i64 begin, i64 end) = 0;
  // Inside the body of a repeat being built: the layers' range. begin_repeat must come before begin_function
  // of its body.
  virtual void begin_repeat(i64 begin, i64 end) = 0;
  virtual void end_repeat() = 0;

  // The results of function(args…), in place. In a pipeline each stage runs its part, and all have the
  // results.
  virtual std::vector<Value> call(int function, const std::vector<Value> &args) = 0;
  // The results of function(args…), whose first one is a scalar, then its gradient with respect to each of
  // args.
  virtual std::vector<Value> value_and_grad(int function, const std::vector<Value> &args) = 0;
  // The results of forward(args…), whose gradients with respect to args are backward(args…, results…,
  // adjoints of the results…).
  virtual std::vector<Value> custom_gradient(int forward, int backward, const std::vector<Value> &args) = 0;

  // Ops made in between are computed again in backward, not kept. Nests.
  virtual void begin_checkpoint() = 0;
  virtual void end_checkpoint() = 0;

  // An entry of the program ("train_step"): begin, then inputs, then ops, then outputs. frozen: it is called
  // many times with the same parameters, so that what is made of them alone can be kept.
  virtual void begin_entry(const std::string &name, bool frozen = false) = 0;
  // limit: integers lie in [0, limit); -1 none. micro: one per micro-batch, with the step's trip count as
  // first dimension.
  virtual Value input(const std::string &name, DType dtype, const Shape &shape, i64 limit, bool micro) = 0;
  virtual void output(const std::string &name, Value value) = 0;
  virtual void end_entry() = 0;

  // Sum over the step's micro-batches and virtual shards of `function`'s results and of its gradient with
  // respect to every parameter variable it reads. function(slices of micro…) -> (scalar loss, further sums…).
  // Gives the sums, and in `gradients` a (path, gradient) for every parameter.
  virtual std::vector<Value> accumulate_gradients(int function, const std::vector<Value> &micro,
                                                  std::vector<std::pair<Variable, Value>> &gradients) = 0;

  // The sum (a scalar) of vectors that were made from accumulate_gradients' gradients, one each, over the
  // parameters of the whole model: in the order of path without ranges, then layer, then element, whatever
  // the pipeline stages and the ranges of repeats. A vector has ceil(size of a layer / norm_chunk) elements a
  // layer (frontends/optimisers/optimiser.h).
  virtual Value sum_over_parameters(const std::vector<std::pair<Variable, Value>> &partial) = 0;
};

// The builder of the program being traced on this thread. The compiler sets it around a trace (in
// libweft_dsl, which model files find in the compiler that loads them); ModelError when there is none.
Builder &builder();
// Gives the previous one. nullptr: none.
Builder *set_builder(Builder *builder);

} // namespace weft
