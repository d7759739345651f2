#include "frontends/cli/args.h"
#include "frontends/cli/report.h"
#include "runtime/train/nearest.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include <cstdio>

namespace weft {

std::string HelpText(const CommandSpec &spec) {
  std::string out = absl::StrCat("usage: weft ", spec.name, spec.arguments.empty() ? "" : " ", spec.arguments,
                                 spec.options.empty() ? "" : " [options]", "\n\n", spec.summary, "\n");
  if (!spec.options.empty()) out += "\noptions:\n";
  for (const Option &o : spec.options) {
    std::string left = absl::StrCat(o.name, o.value.empty() ? "" : " ", o.value);
    absl::StrAppendFormat(&out, "  %-24s %s", left, o.help);
    if (!o.fallback.empty()) absl::StrAppend(&out, " (default ", o.fallback, ")");
    out += '\n';
  }
  absl::StrAppendFormat(&out, "%s  %-24s %s\n", spec.options.empty() ? "\noptions:\n" : "", "--help",
                        "this text");
  if (!spec.details.empty()) absl::StrAppend(&out, "\n", spec.details);
  return out;
}

Args::Args(const CommandSpec &spec, const std::vector<std::string> &arguments) : spec_(spec) {
  Parse(arguments);
}

void Args::Parse(const std::vector<std::string> &arguments) {
  bool options_end = false;
  for (size_t i = 0; i < arguments.size() && exit < 0; ++i) {
    std::string name = arguments[i], value;
    if (options_end || name.size() < 2 || name[0] != '-' || absl::ascii_isdigit(name[1])) {
      positional.push_back(name);
      continue;
    }
    if (name == "--") {
      options_end = true;
      continue;
    }
    if (name == "--help" || name == "-h") {
      std::fputs(HelpText(spec_).c_str(), stdout);
      exit = 0;
      return;
    }
    size_t equal = name.find('=');
    bool attached = absl::StartsWith(name, "--") && equal != std::string::npos;
    if (attached) value = name.substr(equal + 1), name.resize(equal);
    const Option *option = nullptr;
    std::vector<std::string> names = {"--help"};
    for (const Option &o : spec_.options) {
      names.push_back(o.name);
      if (o.name == name) option = &o;
    }
    if (!option) {
      std::string nearest = Nearest(name, names);
      return BadUsage(
          absl::StrCat("unknown option ", name,
                       nearest.empty() ? "" : absl::StrCat("\nhint: did you mean ", nearest, "?")));
    }
    if (option->value.empty()) {
      if (attached) return BadUsage(absl::StrCat(name, " takes no value"));
    } else if (!attached) {
      if (i + 1 == arguments.size())
        return BadUsage(absl::StrCat(name, " needs a value: ", name, " ", option->value));
      value = arguments[++i];
    }
    if (Has(name) && !option->repeated) return BadUsage(absl::StrCat(name, " is given twice"));
    values_[name].push_back(value);
  }
  if (positional.size() < spec_.least)
    return BadUsage(absl::StrCat("weft ", spec_.name, " needs ", spec_.arguments));
  if (positional.size() > spec_.most)
    return BadUsage(absl::StrCat("unexpected argument ", positional[spec_.most]));
}

void Args::BadUsage(const std::string &message) {
  if (exit < 0)
    PrintError(absl::StrCat(message, message.find("\nhint: ") == std::string::npos
                                         ? absl::StrCat("\nhint: weft ", spec_.name, " --help")
                                         : ""));
  exit = 2;
}

std::string Args::Text(const std::string &name, const std::string &fallback) const {
  auto found = values_.find(name);
  return found == values_.end() ? fallback : found->second.back();
}

std::vector<std::string> Args::All(const std::string &name) const {
  auto found = values_.find(name);
  return found == values_.end() ? std::vector<std::string>() : found->second;
}

int64_t Args::Integer(const std::string &name, int64_t fallback, int64_t least, int64_t most) {
  if (!Has(name)) return fallback;
  int64_t value = 0;
  bool number = absl::SimpleAtoi(Text(name), &value);
  if (number && value >= least && value <= most) return value;
  BadUsage(absl::StrCat(name, " is ", Text(name), " when it should be a whole number ",
                        most == INT64_MAX ? absl::StrCat("of at least ", least)
                                          : absl::StrCat("between ", least, " and ", most)));
  return fallback;
}

double Args::Number(const std::string &name, double fallback, double least, double most) {
  if (!Has(name)) return fallback;
  double value = 0;
  bool number = absl::SimpleAtod(Text(name), &value);
  if (number && value >= least && value <= most) return value;
  BadUsage(
      absl::StrCat(name, " is ", Text(name), " when it should be a number between ", least, " and ", most));
  return fallback;
}

} // namespace weft
