#include "tests/compiler/program/error_bounds.h"
#include <gtest/gtest.h>

namespace weft::testing {
namespace {

std::string typeOf(const HostTensor &t) { return "tensor<" + graph::describe(t.shape, t.element) + ">"; }

EntryCase entryOf(const ErrorBound &row) {
  std::string signature;
  std::vector<std::pair<std::string, std::string>> types = {
      {"$r", typeOf(HostTensor::zeros(row.shape, Element::f32))}};
  for (auto [i, t] : llvm::enumerate(row.operands)) {
    std::string number = std::to_string(i);
    types.push_back({"$" + number, typeOf(t)});
    signature += (i ? ", %" : "%") + number + ": " + typeOf(t);
  }
  std::string text = row.functions;
  text += "\nfunc.func @f(" + signature + ") -> $r {\n" + row.body + "\nreturn %r : $r\n}";
  for (const auto &[from, to] : types)
    for (size_t at; (at = text.find(from)) != std::string::npos;) text.replace(at, from.size(), to);
  return {row.name, text, row.operands, {}};
}

double lastPlace(double v, int digits) {
  int exponent;
  std::frexp(v, &exponent);
  return std::ldexp(1.0, exponent - digits);
}

// The largest of all elements; infinite for a NaN.
double largestError(const ErrorBound &row, const EntryCase &entry, const HostTensor &got,
                    const HostTensor &want) {
  std::vector<double> terms;
  if (row.unit == Unit::terms) {
    Tensors args = entry.args;
    for (int i : row.summed)
      for (double &v : args[i].values) v = std::fabs(v);
    terms = TextModule(entry.text).run("f", args).at(0).values;
  }
  double worst = 0, largest = 0;
  for (double w : want.values) largest = std::max(largest, std::fabs(w));
  for (size_t i = 0; i < want.values.size(); ++i) {
    double g = got.values[i], w = want.values[i];
    double of = row.unit == Unit::ulp       ? lastPlace(w, 24)
                : row.unit == Unit::bf16Ulp ? lastPlace(w, 8)
                : row.unit == Unit::result  ? std::fabs(w)
                : row.unit == Unit::terms   ? terms[i]
                                            : largest;
    double error = g == w ? 0 : std::fabs(g - w) / of;
    worst = std::isnan(error) ? INFINITY : std::max(worst, error);
  }
  return worst;
}

const char *nameOf(Unit unit) {
  const char *const names[] = {"ulp", "ulp of bf16", "of the result", "of the terms", "of the largest"};
  return names[int(unit)];
}

} // namespace

void checkErrorBounds(const std::vector<ErrorBound> &rows, const std::string &bf16Unit) {
  std::vector<EntryCase> entries;
  for (const ErrorBound &row : rows) entries.push_back(entryOf(row));
  std::vector<Computed> computed = computePrograms(entries, bf16Unit);
  ASSERT_EQ(computed.size(), rows.size());
  for (auto [row, entry, c] : llvm::zip_equal(rows, entries, computed)) {
    double measured = largestError(row, entry, c.got.at(0), c.want.at(0));
    EXPECT_TRUE(llvm::any_of(c.want.at(0).values, [](double v) { return v != 0; }))
        << row.name << " is all zeros";
    printf("%-38s declared %-7.3g measured %-9.3g %s\n", row.name.c_str(), row.bound, measured,
           nameOf(row.unit));
    EXPECT_LE(measured, row.bound) << row.name << ", " << nameOf(row.unit);
  }
}

} // namespace weft::testing
