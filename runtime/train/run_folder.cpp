#include "runtime/train/run_folder.h"
#include "runtime/data/file_io.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <unistd.h>
#include <vector>

namespace weft {
namespace {

// What writers that were killed left: NAME.tmp-PID and NAME.tmp.PID of processes that are no more.
void RemoveUnfinished(const std::string &folder) {
  std::error_code error;
  std::vector<std::filesystem::path> unfinished;
  for (const std::filesystem::directory_entry &entry : std::filesystem::directory_iterator(folder, error)) {
    std::string name = entry.path().filename().string();
    size_t at = name.rfind(".tmp");
    int pid = 0;
    if (at != std::string::npos && name.size() > at + 5 && (name[at + 4] == '-' || name[at + 4] == '.') &&
        absl::SimpleAtoi(name.substr(at + 5), &pid) && pid > 0 && kill(pid, 0) != 0 && errno == ESRCH)
      unfinished.push_back(entry.path());
  }
  for (const std::filesystem::path &path : unfinished) std::filesystem::remove(path, error);
}

} // namespace

absl::StatusOr<std::unique_ptr<RunFolder>> RunFolder::Open(const std::string &path) {
  std::unique_ptr<RunFolder> folder(new RunFolder);
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error)
    return absl::UnavailableError(
        absl::StrCat("cannot create the run directory ", path, ": ", error.message()));
  std::string lock = path + "/.lock", log = path + "/log.txt";
  folder->lock_ = open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (folder->lock_ < 0) return FileError("open", lock, errno);
  if (flock(folder->lock_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return FileError("lock", lock, errno);
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is in use by another weft\nhint: wait for it, or choose another run.dir"));
  }
  RemoveUnfinished(path);
  RemoveUnfinished(path + "/data");
  folder->log_ = std::fopen(log.c_str(), "ae");
  if (!folder->log_) return FileError("open", log, errno);
  return folder;
}

RunFolder::~RunFolder() {
  if (log_) std::fclose(log_);
  if (lock_ >= 0) close(lock_);
}

} // namespace weft
