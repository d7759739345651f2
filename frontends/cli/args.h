// The command line of one command.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace weft {

struct Option {
  std::string name;          // "--max-tokens", or "-o"
  std::string value;         // what stands for its value in the help: "N"; "" for a switch
  std::string help;          // with unit, and what a special value means
  std::string fallback = ""; // what counts when it is not given, for the help; "" = nothing to say
  bool repeated = false;
};

struct CommandSpec {
  std::string name;      // "generate", or "tokenizer train"
  std::string arguments; // "RUN|CHECKPOINT"
  std::string summary;   // one line
  std::vector<Option> options;
  std::string details = "";   // after the options
  size_t least = 0, most = 0; // positional arguments
};

// Parsed; --help and bad usage end the command: `exit` is then 0 or 2, and what had to be said has been said.
class Args {
public:
  Args(const CommandSpec &spec, const std::vector<std::string> &arguments);

  int exit = -1; // go on
  std::vector<std::string> positional;
  bool Has(const std::string &name) const { return values_.count(name) > 0; }
  std::string Text(const std::string &name, const std::string &fallback = "") const;
  std::vector<std::string> All(const std::string &name) const;
  // A number within [least, most]; anything else is bad usage, which sets `exit`.
  int64_t Integer(const std::string &name, int64_t fallback, int64_t least, int64_t most = INT64_MAX);
  double Number(const std::string &name, double fallback, double least, double most);

private:
  void Parse(const std::vector<std::string> &arguments);
  void BadUsage(const std::string &message);
  CommandSpec spec_;
  std::map<std::string, std::vector<std::string>> values_;
};

std::string HelpText(const CommandSpec &spec);

} // namespace weft
