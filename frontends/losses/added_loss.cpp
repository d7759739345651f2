#include "frontends/losses/added_loss.h"

#include <cmath>

#include "frontends/dsl/record.h"

namespace weft {

void add_loss(const Scope &s, const std::string &name, Arg values, double weight) {
  detail::require_float(values, "add_loss", values.at);
  if (values.rank() < 1)
    fail(values.at, "add_loss of a scalar: should be (batch, …), a row a sequence",
         {{values.line(), "values made here"}});
  if (!std::isfinite(weight)) fail(values.at, "add_loss: the weight of " + name + " is not a finite number");
  bool taken = name.empty() || name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != name.npos;
  for (const char *metric : {"step", "loss", "lr", "grad_norm", "tokens_per_second", "step_ms"})
    taken |= name == metric;
  if (taken)
    fail(values.at,
         "add_loss: '" + name + "' cannot name a metric: a name of a-z, 0-9 and _ that is not taken");
  if (!s.trace() || !s.trace()->losses) return;
  for (const AddedLoss &loss : *s.trace()->losses)
    if (loss.name == name)
      fail(values.at, "add_loss: " + name + " is added twice",
           {{loss.values.line(), "the first one's values"}});
  s.trace()->losses->push_back({name, values, weight});
}

} // namespace weft
