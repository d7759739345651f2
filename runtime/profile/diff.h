// What became slower between two profiles, and why.
#pragma once
#include "runtime/profile/profile.h"

#include <string>
#include <vector>

namespace weft {

enum class DiffReason {
  same,     // the same code with the same work: what is left is the machine, or chance
  schedule, // the same work with another schedule or reduction
  sizes,    // the same code, launched with other sizes or another number of times
  fusion,   // other kernels for the same lines of the model
  only,     // in one of the two alone
  rest,     // what is no kernel: copies, collectives, host, data, other ranks
};
const char *DiffReasonName(DiffReason reason); // "schedule", …

// What two profiles have in common, and how long each took for it. All rows together are the steps.
struct DiffRow {
  DiffReason reason = DiffReason::same;
  std::vector<std::string> before, after; // kernels, or what else it is
  std::string where;                      // model lines
  std::string why;                        // a sentence
  double before_ms = 0, after_ms = 0;     // of a step
  double change_ms() const { return after_ms - before_ms; }
};

struct ProfileDiff {
  double before_ms = 0, after_ms = 0; // means of the measured steps
  // The steps' spread, of the two the larger: (slowest - fastest) / mean. Changes below it say nothing.
  double spread = 0;
  std::vector<std::string> settings; // "seq was 256 and is 512"
  std::vector<std::string> machine;  // the same of the machine
  std::vector<DiffRow> rows;         // the largest change first
};

ProfileDiff CompareProfiles(const Profile &before, const Profile &after);

} // namespace weft
