"""A function of a shared object, called on an emulated Sapphire Rapids processor.

Bochs (the bochscpu package) executes the instructions in user mode of 64-bit long mode, behind page tables.
The package was built without AMX: those instructions arrive as undefined opcodes and amx_unit executes them.
Every region of memory has unmapped pages around it, so what leaves its region faults."""
import ctypes
import mmap
import os
import struct
import sys
import traceback

import amx_unit

# Two symbols that the package needs of glibc 2.38, for reading configuration, are never called: bind lazily.
_flags = sys.getdlopenflags()
sys.setdlopenflags(os.RTLD_LAZY)
import bochscpu  # noqa: E402
import bochscpu.memory  # noqa: E402
from bochscpu import _bochscpu  # noqa: E402
sys.setdlopenflags(_flags)

PAGE = 4096
GUARD = 1 << 20                    # unmapped addresses between regions
FIRST_ADDRESS = 0x10_0000_0000
FIRST_PHYSICAL = 1 << 32           # above the addresses that a PC gives to devices
RETURN_ADDRESS = 0x0DEA_D000       # never mapped; fetching from it ends the call
POISON = 0xFF                      # fills undefined memory: as bf16 or float32, a NaN
SAPPHIRE_RAPIDS, SIGNATURE = 30, 0x806F8  # the place in Bochs' list of models; what its CPUID answers
XCR0 = 0x600E7                     # x87, SSE, AVX, AVX-512, tile configuration, tile data
CALLEE_SAVED = {"rbx": 0xB0B0_0001, "rbp": 0xB0B0_0002, "r12": 0xB0B0_0003, "r13": 0xB0B0_0004,
                "r14": 0xB0B0_0005, "r15": 0xB0B0_0006}
EXCEPTIONS = {0: "#DE", 1: "#DB", 3: "#BP", 4: "#OF", 5: "#BR", 6: "#UD", 7: "#NM", 8: "#DF", 10: "#TS",
              11: "#NP", 12: "#SS", 13: "#GP", 14: "#PF", 16: "#MF", 17: "#AC", 18: "#MC", 19: "#XM"}


class Fault(Exception):
    """The call did not return properly; the message says what happened and where."""


class Region:
    """Whole pages of memory, of which [address, address + size) is what the program was given."""

    def __init__(self, name, base, pages, address, size, writable, executable):
        self.name, self.base, self.address, self.size = name, base, address, size
        self.length, self.writable, self.executable = pages * PAGE, writable, executable
        self.memory = mmap.mmap(-1, self.length)
        self.memory.write(bytes([POISON]) * self.length)

    def slice(self, address, size):
        return slice(address - self.base, address - self.base + size)

    def contents(self):
        return self.memory[self.slice(self.address, self.size)]

    def stray_writes(self):
        """Addresses (relative to the region's own) of bytes around it that no longer hold the poison."""
        outside = [*range(self.base, self.address), *range(self.address + self.size, self.base + self.length)]
        return [a - self.address for a in outside if self.memory[a - self.base] != POISON]


class Machine:
    """Memory and one processor: map the regions, then call() once."""

    next_physical = FIRST_PHYSICAL  # never given twice in a process: Bochs caches decoded pages by it

    def __init__(self):
        self.regions = []
        self.next_address = FIRST_ADDRESS
        self.tables = {}                        # (level, virtual prefix): page of a table
        self.physical = []
        self.pool = []
        self.amx = amx_unit.AmxUnit(self)
        self.root = self.table(0, 0)

    # Memory

    def map(self, name, data=b"", size=None, *, writable=True, align=64, guard="after"):
        """A region holding `data`, then poison up to `size`. Unmapped memory follows it (guard="after"; at
        once if `size` is a multiple of `align`) or precedes it (guard="before")."""
        size = len(data) if size is None else size
        pages = max(1, -(-size // PAGE))
        base = self.next_address
        self.next_address += (-(-pages * PAGE // GUARD) + 1) * GUARD
        address = base if guard == "before" else (base + pages * PAGE - size) // align * align
        if address < base:
            raise ValueError(f"region {name}: alignment {align} is more than a page")
        return self.place(Region(name, base, pages, address, size, writable, False), data)

    def map_pages(self, name, address, data, *, writable, executable):
        """Whole pages at a given address."""
        region = Region(name, address, len(data) // PAGE, address, len(data), writable, executable)
        return self.place(region, data)

    def place(self, region, data):
        self.regions.append(region)
        region.memory[region.slice(region.address, len(data))] = data
        host = ctypes.addressof(ctypes.c_char.from_buffer(region.memory))
        for offset in range(0, region.length, PAGE):
            physical = self.insert_page(host + offset)
            flags = 0b101 | region.writable << 1 | (not region.executable) << 63  # present, user
            prefix = region.base + offset >> 12
            parent = self.root
            for level in (1, 2, 3):
                parent = self.table(level, prefix >> 9 * (4 - level), parent)
            struct.pack_into("<Q", parent[0], parent[1] + (prefix & 511) * 8, physical | flags)
        return region

    def table(self, level, prefix, parent=None):
        """The page table for a prefix of the virtual addresses: (memory, offset, physical address)."""
        if (level, prefix) not in self.tables:
            if not self.pool:
                memory = mmap.mmap(-1, 64 * PAGE)
                host = ctypes.addressof(ctypes.c_char.from_buffer(memory))
                self.pool = [(memory, offset, self.insert_page(host + offset))
                             for offset in range(0, 64 * PAGE, PAGE)]
            entry = self.tables[level, prefix] = self.pool.pop(0)
            if parent:
                struct.pack_into("<Q", parent[0], parent[1] + (prefix & 511) * 8, entry[2] | 0b111)
        return self.tables[level, prefix]

    def insert_page(self, host):
        physical = Machine.next_physical
        Machine.next_physical += PAGE
        bochscpu.memory.page_insert(physical, host)
        self.physical.append(physical)
        return physical

    def read(self, address, size):
        """Memory as an AMX instruction reads it: exactly within one region."""
        region = self.holding(address, size, "read")
        return region.memory[region.slice(address, size)]

    def write(self, address, data):
        region = self.holding(address, len(data), "write")
        if not region.writable:
            raise Fault(f"#PF: write of {len(data)} bytes at {address:#x}: {self.describe(address)}")
        region.memory[region.slice(address, len(data))] = data

    def holding(self, address, size, what):
        for region in self.regions:
            if region.address <= address and address + size <= region.address + region.size:
                return region
        raise Fault(f"#PF: {what} of {size} bytes at {address:#x}: {self.describe(address, size)}")

    def describe(self, address, size=1):
        """Where an address lies, in words."""
        def distance(region):
            return max(region.address - address, address + size - (region.address + region.size), 0)
        if not self.regions:
            return "no memory is mapped"
        near = min(self.regions, key=distance)
        place = f"'{near.name}', {near.size} bytes at {near.address:#x}"
        if distance(near) > GUARD:
            return "far from any region"
        if address < near.address:
            return f"{near.address - address} bytes before {place}"
        if address + size > near.address + near.size:
            return f"{address + size - near.address - near.size} bytes past the end of {place}"
        return f"byte {address - near.address} of {place} ({'writable' if near.writable else 'read-only'})"

    # The processor

    def call(self, address, arguments, *, limit=100_000_000, mxcsr=0x1F80, locate=hex):
        """Calls a function with up to six integer or pointer arguments; returns the number of instructions.

        Raises Fault for a fault, too many instructions, or a broken calling convention. locate(address) words
        a code address for the messages."""
        stack = self.map("stack", size=1 << 18)
        top = stack.address + stack.size - 64
        stack.memory[stack.slice(top - 8, 8)] = struct.pack("<Q", RETURN_ADDRESS)
        run = Run(self, limit, locate)
        try:
            run.run(self.state(address, arguments, top - 8, mxcsr))
        finally:
            for physical in self.physical:
                bochscpu.memory.page_remove(physical)
        if run.error:
            raise run.error
        after = run.after
        broken = [name for name, value in CALLEE_SAVED.items() if getattr(after, name) != value]
        broken += ["rsp"] if after.rsp != top else []
        broken += ["the direction flag"] if after.rflags >> 10 & 1 else []
        broken += ["mxcsr's control bits"] if (after.mxcsr ^ mxcsr) & 0xFFC0 else []
        if broken:
            raise Fault("calling convention: the function returned with a changed " + ", ".join(broken))
        return run.count

    def state(self, address, arguments, stack_pointer, mxcsr):
        state = bochscpu.State()
        state.cr0 = 0x8005_0033                                        # paging, write protection
        state.cr4, state.xcr0 = 0x4_0668, XCR0                         # OSXSAVE, OSXMMEXCPT, OSFXSR, PAE
        state.cr3, state.efer = self.root[2], 0xD01                    # no-execute pages, long mode
        state.cs, data = segment(0x33, 0xA0FB), segment(0x2B, 0xC0F3)  # user mode
        state.ss = state.ds = state.es = state.fs = state.gs = data
        state.rflags, state.mxcsr, state.mxcsr_mask, state.fpcw, state.fptw = 2, mxcsr, 0xFFFF, 0x37F, 0xFFFF
        state.rip, state.rsp = address, stack_pointer
        for name, value in zip(("rdi", "rsi", "rdx", "rcx", "r8", "r9"), arguments):
            setattr(state, name, value & 2**64 - 1)
        for name, value in CALLEE_SAVED.items():
            setattr(state, name, value)
        return state


class Run:
    """One call in progress: what Bochs tells of it.

    No exception may leave a hook (it would unwind through the emulator), so they are kept in `error`. The
    package crashes if a Session is made or the process ends while another Session lives, so nothing may keep
    this one: neither an attribute after run(), nor a frame of a kept traceback."""

    def __init__(self, machine, limit, locate):
        self.machine, self.limit, self.locate = machine, limit, locate
        self.session = self.cpu = self.after = self.error = None
        self.count = self.rip = 0

    def run(self, state):
        self.session = new_session()
        self.cpu = self.session.cpu
        self.cpu.state = state
        hook = bochscpu.Hook()
        hook.before_execution, hook.exception, hook.hlt = self.before, self.exception, self.halt
        self.session.run([hook])
        self.after = self.cpu.state
        self.session = self.cpu = None

    def stop(self, error=None):
        self.error = self.error or error
        self.session.stop()

    def halt(self, *_):
        self.stop(Fault(f"hlt at {self.locate(self.rip)}"))

    def before(self, *_):
        self.rip = self.cpu.rip
        self.count += 1
        if self.count > self.limit:
            self.stop(Fault(f"still running after {self.limit} instructions, at {self.locate(self.rip)}"))

    def exception(self, _session, _cpu, vector, code):
        try:
            if vector == 14 and self.cpu.cr2 == RETURN_ADDRESS and self.cpu.rip == RETURN_ADDRESS:
                self.stop()
            elif vector != 6 or not self.execute_tile_instruction():
                self.stop(Fault(f"{self.words(vector, code)}; at {self.locate(self.rip)}"))
        except Fault as fault:
            self.stop(Fault(str(fault)))  # a new one: the old one's traceback keeps frames
        except Exception:  # noqa: BLE001
            self.stop(RuntimeError(traceback.format_exc()))

    def words(self, vector, code):
        name = EXCEPTIONS.get(vector, f"exception {vector}")
        if vector == 14:
            what = "execution" if code & 16 else "write" if code & 2 else "read"
            return f"{name}: {what} at {self.cpu.cr2:#x}: {self.machine.describe(self.cpu.cr2)}"
        if vector == 6:
            return f"{name}: undefined opcode {self.code(12).hex(' ')}"
        return f"{name}: error code {code:#x}"

    def code(self, size):
        """The bytes of the current instruction and after it."""
        region = next(r for r in self.machine.regions if r.base <= self.rip < r.base + r.length)
        return region.memory[region.slice(self.rip, size)].ljust(size, b"\0")

    def execute_tile_instruction(self):
        instruction = amx_unit.decode(self.code(16))
        if instruction is None:
            return False
        after = self.rip + instruction.length
        try:
            self.machine.amx.execute(instruction, lambda name: getattr(self.cpu, name), after)
        except (Fault, amx_unit.TileFault) as fault:
            raise Fault(f"{fault}; {instruction.name} at {self.locate(self.rip)}") from None
        self.cpu.rip = after
        return True


def segment(selector, attributes):
    result = bochscpu.Segment()
    result.present, result.selector, result.attr = True, selector, attributes
    result.base, result.limit = 0, 2**32 - 1
    return result


def new_session():
    """A processor after reset. The package has no call that chooses its model; Bochs' own parameter does."""
    library = ctypes.CDLL(_bochscpu.__file__, mode=os.RTLD_LAZY)
    find = library["_ZN13bx_real_sim_c14get_param_enumEPKcP10bx_param_c"]
    find.restype, find.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    choose = library["_ZN15bx_param_enum_c3setEl"]
    choose.restype, choose.argtypes = None, [ctypes.c_void_p, ctypes.c_long]
    choose(find(None, b"cpu.model", None), SAPPHIRE_RAPIDS)
    session = bochscpu.Session()
    session.missing_page_handler = lambda address: None
    return session
