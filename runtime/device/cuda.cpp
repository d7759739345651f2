#include "runtime/device/cuda.h"

#include "absl/strings/str_cat.h"

#include <dlfcn.h>
#include <limits>
#include <utility>
#include <vector>

namespace weft {

// The driver's functions, by the names that libcuda.so.1 exports (a version behind some of them). All return
// 0 or an error's number.
struct CudaDevice::Driver {
  void *library = nullptr;
  int (*Init)(unsigned) = nullptr;
  int (*DeviceGetCount)(int *) = nullptr;
  int (*DeviceGet)(int *, int) = nullptr;
  int (*DeviceGetName)(char *, int, int) = nullptr;
  int (*DeviceGetAttribute)(int *, int, int) = nullptr;
  int (*DeviceTotalMem)(size_t *, int) = nullptr;
  int (*PrimaryCtxRetain)(void **, int) = nullptr;
  int (*PrimaryCtxRelease)(int) = nullptr;
  int (*CtxSetCurrent)(void *) = nullptr;
  int (*CtxSynchronize)() = nullptr;
  int (*ModuleLoadDataEx)(void **, const void *, unsigned, int *, void **) = nullptr;
  int (*ModuleUnload)(void *) = nullptr;
  int (*ModuleGetFunction)(void **, void *, const char *) = nullptr;
  int (*MemAlloc)(uint64_t *, size_t) = nullptr;
  int (*MemFree)(uint64_t) = nullptr;
  int (*MemcpyHtoD)(uint64_t, const void *, size_t) = nullptr;
  int (*MemcpyDtoH)(void *, uint64_t, size_t) = nullptr;
  int (*LaunchKernel)(void *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void *,
                      void **, void **) = nullptr;
  int (*EventCreate)(void **, unsigned) = nullptr;
  int (*EventDestroy)(void *) = nullptr;
  int (*EventRecord)(void *, void *) = nullptr;
  int (*EventSynchronize)(void *) = nullptr;
  int (*EventElapsedTime)(float *, void *, void *) = nullptr;
  int (*GetErrorName)(int, const char **) = nullptr;
  int (*GetErrorString)(int, const char **) = nullptr;

  int device = -1;
  void *context = nullptr;
  std::vector<void *> modules;
  void *marks[2] = {};

  // The first function that the library lacks; "" when it has all.
  std::string Resolve() {
    std::string missing;
    auto find = [&](auto &function, const char *name) {
      function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
      if (!function && missing.empty()) missing = name;
    };
    find(Init, "cuInit");
    find(DeviceGetCount, "cuDeviceGetCount");
    find(DeviceGet, "cuDeviceGet");
    find(DeviceGetName, "cuDeviceGetName");
    find(DeviceGetAttribute, "cuDeviceGetAttribute");
    find(DeviceTotalMem, "cuDeviceTotalMem_v2");
    find(PrimaryCtxRetain, "cuDevicePrimaryCtxRetain");
    find(PrimaryCtxRelease, "cuDevicePrimaryCtxRelease_v2");
    find(CtxSetCurrent, "cuCtxSetCurrent");
    find(CtxSynchronize, "cuCtxSynchronize");
    find(ModuleLoadDataEx, "cuModuleLoadDataEx");
    find(ModuleUnload, "cuModuleUnload");
    find(ModuleGetFunction, "cuModuleGetFunction");
    find(MemAlloc, "cuMemAlloc_v2");
    find(MemFree, "cuMemFree_v2");
    find(MemcpyHtoD, "cuMemcpyHtoD_v2");
    find(MemcpyDtoH, "cuMemcpyDtoH_v2");
    find(LaunchKernel, "cuLaunchKernel");
    find(EventCreate, "cuEventCreate");
    find(EventDestroy, "cuEventDestroy_v2");
    find(EventRecord, "cuEventRecord");
    find(EventSynchronize, "cuEventSynchronize");
    find(EventElapsedTime, "cuEventElapsedTime");
    find(GetErrorName, "cuGetErrorName");
    find(GetErrorString, "cuGetErrorString");
    return missing;
  }

  ~Driver() {
    for (void *mark : marks)
      if (mark) EventDestroy(mark);
    for (void *module : modules) ModuleUnload(module);
    if (context) PrimaryCtxRelease(device);
    // The library stays: the driver has threads of its own.
  }
};

namespace {
constexpr int kOutOfMemory = 2;                                // CUDA_ERROR_OUT_OF_MEMORY
constexpr int kMajor = 75, kMinor = 76, kMultiprocessors = 16; // CU_DEVICE_ATTRIBUTE_…
constexpr int kErrorLog = 5, kErrorLogBytes = 6;               // CU_JIT_ERROR_LOG_BUFFER…
constexpr int64_t kMaxBlocks = std::numeric_limits<int32_t>::max();
} // namespace

absl::Status CudaDevice::Check(int result, const std::string &what) const {
  if (result == 0) return absl::OkStatus();
  const char *name = nullptr, *text = nullptr;
  driver_->GetErrorName(result, &name);
  driver_->GetErrorString(result, &text);
  std::string message = "the GPU could not " + what + ": ";
  message += name ? name : "error " + std::to_string(result);
  if (text) message += std::string(" (") + text + ")";
  return result == kOutOfMemory ? absl::ResourceExhaustedError(message) : absl::InternalError(message);
}

absl::StatusOr<std::unique_ptr<CudaDevice>> CudaDevice::Open(int number) {
  std::unique_ptr<CudaDevice> device(new CudaDevice);
  auto driver = std::make_unique<Driver>();
  driver->library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!driver->library) return absl::UnavailableError(absl::StrCat("there is no CUDA driver: ", dlerror()));
  if (std::string missing = driver->Resolve(); !missing.empty())
    return absl::UnavailableError(
        absl::StrCat("the CUDA driver has no ", missing, "; 12.0 or later is needed"));
  device->driver_ = std::move(driver);
  Driver &d = *device->driver_;
  int count = 0;
  if (d.Init(0) != 0 || d.DeviceGetCount(&count) != 0 || number < 0 || number >= count)
    return absl::UnavailableError(absl::StrCat("GPU ", number, " was asked for when the driver has ", count));
  char name[256] = "";
  CudaFacts &facts = device->facts_;
  for (auto [result, what] :
       {std::pair{d.DeviceGet(&d.device, number), "be opened"},
        {d.DeviceGetName(name, sizeof name, d.device), "say its name"},
        {d.DeviceGetAttribute(&facts.major, kMajor, d.device), "say what it is"},
        {d.DeviceGetAttribute(&facts.minor, kMinor, d.device), "say what it is"},
        {d.DeviceGetAttribute(&facts.multiprocessors, kMultiprocessors, d.device), "say its size"},
        {d.DeviceTotalMem(&facts.memory_bytes, d.device), "say its memory"},
        {d.PrimaryCtxRetain(&d.context, d.device), "be taken"},
        {d.CtxSetCurrent(d.context), "be taken"},
        {d.EventCreate(&d.marks[0], 0), "make an event"},
        {d.EventCreate(&d.marks[1], 0), "make an event"}})
    if (absl::Status status = device->Check(result, what); !status.ok()) return status;
  facts.name = name;
  return device;
}

CudaDevice::~CudaDevice() = default;

absl::Status CudaDevice::Load(std::string_view image) {
  std::string text(image), log(8192, '\0'); // PTX ends with a zero
  int options[] = {kErrorLog, kErrorLogBytes};
  void *values[] = {log.data(), reinterpret_cast<void *>(log.size())};
  void *module = nullptr;
  if (absl::Status status =
          Check(driver_->ModuleLoadDataEx(&module, text.c_str(), 2, options, values), "load a module");
      !status.ok())
    return absl::InvalidArgumentError(absl::StrCat(status.message(), "\n", log.c_str()));
  driver_->modules.push_back(module);
  return absl::OkStatus();
}

absl::StatusOr<CudaDevice::Function> CudaDevice::Find(const std::string &name) const {
  for (void *module : driver_->modules)
    if (void *function = nullptr; driver_->ModuleGetFunction(&function, module, name.c_str()) == 0)
      return function;
  return absl::NotFoundError(absl::StrCat("no loaded module has a kernel ", name));
}

absl::StatusOr<CudaMemory> CudaDevice::Allocate(size_t bytes) const {
  CudaMemory memory;
  memory.device_ = this;
  if (bytes > 0)
    if (absl::Status status =
            Check(driver_->MemAlloc(&memory.address_, bytes), absl::StrCat("give ", bytes, " bytes"));
        !status.ok())
      return status;
  memory.bytes_ = bytes;
  return memory;
}

absl::Status CudaDevice::CopyIn(CudaMemory &to, const void *from) const {
  return to.bytes() ? Check(driver_->MemcpyHtoD(to.address(), from, to.bytes()), "copy in")
                    : absl::OkStatus();
}
absl::Status CudaDevice::CopyOut(const CudaMemory &from, void *to) const {
  return from.bytes() ? Check(driver_->MemcpyDtoH(to, from.address(), from.bytes()), "copy out")
                      : absl::OkStatus();
}

absl::Status CudaDevice::Launch(Function function, int64_t blocks, int threads,
                                absl::Span<void *const> arguments) const {
  if (blocks < 1 || blocks > kMaxBlocks || threads < 1 || threads > 1024)
    return absl::InvalidArgumentError(absl::StrCat("launch of ", blocks, " blocks of ", threads,
                                                   " threads; there are 1 to ", kMaxBlocks, " of 1 to 1024"));
  return Check(driver_->LaunchKernel(function, static_cast<unsigned>(blocks), 1, 1,
                                     static_cast<unsigned>(threads), 1, 1, 0, nullptr,
                                     const_cast<void **>(arguments.data()), nullptr),
               "launch a kernel");
}

absl::Status CudaDevice::Synchronize() const { return Check(driver_->CtxSynchronize(), "finish"); }
absl::Status CudaDevice::Mark(int which) const {
  return Check(driver_->EventRecord(driver_->marks[which], nullptr), "record an event");
}
absl::StatusOr<double> CudaDevice::BetweenMarks() const {
  float ms = 0;
  if (absl::Status s = Check(driver_->EventSynchronize(driver_->marks[1]), "finish"); !s.ok()) return s;
  if (absl::Status s =
          Check(driver_->EventElapsedTime(&ms, driver_->marks[0], driver_->marks[1]), "tell the time");
      !s.ok())
    return s;
  return ms;
}

CudaMemory::~CudaMemory() {
  if (address_) device_->driver_->MemFree(address_);
}
void CudaMemory::swap(CudaMemory &other) noexcept {
  std::swap(device_, other.device_);
  std::swap(address_, other.address_);
  std::swap(bytes_, other.bytes_);
}

} // namespace weft
