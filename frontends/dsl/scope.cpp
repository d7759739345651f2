#include "frontends/dsl/scope.h"

#include "frontends/dsl/record.h"

namespace weft {
namespace {
constinit thread_local const std::string *current_path = nullptr;

std::string join(std::string path, std::string_view name) {
  if (!path.empty()) path += ".";
  return path += name;
}
} // namespace

std::string default_file_name(const std::string &path) {
  return path.rfind("lm_head.", 0) == 0 ? path : "model." + path;
}

std::string path_without_range(const std::string &path) {
  size_t open = path.find('['), close = path.find(']', open);
  if (close == std::string::npos) return path;
  std::string_view inside = std::string_view(path).substr(open + 1, close - open - 1);
  if (inside.find(':') == inside.npos || inside.find_first_not_of("0123456789:") != inside.npos) return path;
  return path.substr(0, open) + path.substr(close + 1);
}

Scope Scope::operator/(std::string_view name) const {
  Scope s = *this;
  s.path_ = join(path_, name);
  s.file_ = join(file_, name);
  return s;
}

Scope Scope::repeated(Range range) const {
  Scope s = *this;
  if (range.begin)
    s.path_.append("[")
        .append(std::to_string(range.begin))
        .append(":")
        .append(std::to_string(range.end))
        .append("]");
  s.file_ = join(file_, "{}");
  return s;
}

Scope Scope::each() const {
  Scope s = *this;
  s.file_ = join(file_, "{}");
  return s;
}

std::string Scope::path(std::string_view name) const { return join(path_, name); }

std::string Scope::file_name(std::string_view name) const {
  std::string file = join(file_, name);
  return trace_ && trace_->file_name ? trace_->file_name(file) : default_file_name(file);
}

PathGuard::PathGuard(const Scope &s) : path_(s.path()), previous_(current_path) {
  current_path = &path_;
  builder().set_path(path_);
}

PathGuard::~PathGuard() {
  current_path = previous_;
  builder().set_path(previous_ ? *previous_ : std::string());
}

static Variable named(const Scope &s, std::string_view name, const Shape &shape, Init init) {
  Variable v;
  v.path = s.path(name);
  v.file_name = s.file_name(name);
  v.shape = shape;
  v.init = init.kind;
  v.init_scale = init.scale;
  return v;
}

Tensor balance_bias(const Scope &s, std::string_view name, const Shape &shape, double rate, Caller at) {
  LineGuard guard(at.line);
  Variable v = named(s, name, shape, {});
  v.balance_rate = rate;
  return {builder().variable(v), blamed_line(at.line)};
}

Tensor parameter(const Scope &s, std::string_view name, const Shape &shape, Init init, bool decay,
                 Caller at) {
  LineGuard guard(at.line);
  Variable v = named(s, name, shape, init);
  v.decay = decay;
  constexpr i64 most =
      i64(1) << 40; // elements: no machine holds more, and sizes in bytes stay far from overflowing
  i64 elements = 1;
  for (i64 dim : shape) {
    if (dim <= 0)
      fail(at.line, "parameter " + v.path + " has the shape " + shape_text(shape) +
                        " when each size should be 1 or more");
    if (dim > most / elements)
      fail(at.line,
           "parameter " + v.path + " has the shape " + shape_text(shape) + ", more than 2^40 elements");
    elements *= dim;
  }
  return {builder().variable(v), blamed_line(at.line)};
}

} // namespace weft
