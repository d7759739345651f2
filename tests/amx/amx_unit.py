"""The AMX instructions in Python: their encoding, their faults and their arithmetic.

Written from Intel's instruction set reference (LDTILECFG to TDPBF16PS, exception classes AMX-E1 to AMX-E6).
The unit knows nothing of the emulator: it is given decoded instructions, a function that reads a general
register, and the memory. BF16 is the only arithmetic; the integer products stay undefined opcodes."""
import collections

import numpy as np

REGISTERS = ("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi") + tuple(f"r{i}" for i in range(8, 16))
SMALLEST_NORMAL = 2.0**-126

Instruction = collections.namedtuple("Instruction", "name tiles memory length")
Memory = collections.namedtuple("Memory", "base index scale displacement")  # registers by number, or None

# (opcode, mandatory prefix, whether the operand is memory); prefix 0: none, 1: 66, 2: F3, 3: F2
NAMES = {
    (0x49, 0, True): "ldtilecfg", (0x49, 1, True): "sttilecfg",
    (0x49, 0, False): "tilerelease", (0x49, 3, False): "tilezero",
    (0x4B, 3, True): "tileloadd", (0x4B, 1, True): "tileloaddt1", (0x4B, 2, True): "tilestored",
    (0x5C, 2, False): "tdpbf16ps",
}


class TileFault(Exception):
    """What the processor would raise: "#UD" or "#GP", and why."""

    def __init__(self, vector, reason):
        super().__init__(f"{vector}: {reason}")


def decode(code):
    """The AMX instruction that `code` begins with, or None. All of them are VEX.128.0F38.W0."""
    if len(code) < 5 or code[0] != 0xC4 or code[1] & 0x1F != 2 or code[2] & 0x84:
        return None
    not_r, not_x, not_b = code[1] >> 7 & 1, code[1] >> 6 & 1, code[1] >> 5 & 1
    other = ~code[2] >> 3 & 15
    mod, reg, rm = code[4] >> 6, code[4] >> 3 & 7, code[4] & 7
    name = NAMES.get((code[3], code[2] & 3, mod != 3))
    if name is None or not not_r or (other and name != "tdpbf16ps"):
        return None
    if mod == 3:
        if name == "tdpbf16ps":
            return Instruction(name, (reg, rm, other), None, 5) if not_b and other < 8 else None
        wanted = code[4] == 0xC0 if name == "tilerelease" else rm == 0
        return Instruction(name, (reg,), None, 5) if wanted and not_b else None
    if reg if name in ("ldtilecfg", "sttilecfg") else rm != 4:  # loads and stores of tiles have a SIB byte
        return None
    at, index, scale, base = 5, None, 1, rm + 8 * (1 - not_b)
    if rm == 4:
        sib = code[5]
        at, scale = 6, 1 << (sib >> 6)
        base, index = (sib & 7) + 8 * (1 - not_b), (sib >> 3 & 7) + 8 * (1 - not_x)
        index = None if index == 4 else index
    size = {0: 0, 1: 1, 2: 4}[mod]
    if mod == 0 and base & 7 == 5:
        size, base = 4, None if rm == 4 else "rip"
    displacement = int.from_bytes(code[at:at + size], "little", signed=True)
    return Instruction(name, (reg,), Memory(base, index, scale, displacement), at + size)


def rounded_sum(x, y):
    """The sum of doubles of at most 24 bits, rounded to float32 (to nearest even) or flushed to zero.

    Rounding twice does no harm: a double has more than twice the bits, and two. Tininess is judged after
    rounding, as x86 does: what rounds up to the smallest normal number is not flushed."""
    s = x + y
    s = np.where(np.abs(s) < SMALLEST_NORMAL - 2.0**-151, np.copysign(0.0, s), s)
    return s.astype(np.float32)


def flushed(x):
    """float32 as doubles, denormals taken as zeros of their sign."""
    x = x.astype(np.float64)
    return np.where(np.abs(x) < SMALLEST_NORMAL, np.copysign(0.0, x), x)


def from_bf16(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


def fused(x, y, z):
    """x * y + z of float32 with one rounding; x and y hold bf16, so that their product has 16 bits."""
    return rounded_sum(flushed(x) * flushed(y), flushed(z))


def dot_bf16(accumulator, a, b):
    """TDPBF16PS: accumulator (m, n) float32 + a (m, 2 k) times b (k, 2 n) in bf16, b holding pairs of k.

    One chain of fused multiply-adds over the even k and one over the odd k, both from zero; then even + odd;
    then that sum is added to the accumulator."""
    m, k, n = a.shape[0], b.shape[0], accumulator.shape[1]
    a = from_bf16(a).reshape(m, k, 2).transpose(1, 2, 0)[..., None]           # k, parity, m, 1
    b = from_bf16(b).reshape(k, n, 2).transpose(0, 2, 1)[:, :, None, :]       # k, parity, 1, n
    chains = np.zeros((2, m, n), np.float32)
    with np.errstate(all="ignore"):
        for i in range(k):
            chains = fused(a[i], b[i], chains)
        both = rounded_sum(flushed(chains[0]), flushed(chains[1]))
        return rounded_sum(flushed(accumulator), flushed(both))


class AmxUnit:
    """Eight tiles and their configuration. `memory` has read(address, size) and write(address, data)."""

    def __init__(self, memory):
        self.memory = memory
        self.counts = collections.Counter()
        self.release()

    def release(self):
        self.palette = self.start_row = 0
        self.columns, self.rows = [0] * 8, [0] * 8  # bytes per row, rows
        self.tiles = np.zeros((8, 16, 64), np.uint8)

    def execute(self, instruction, register, after):
        """register(name): the value of a general register; after: the address of the next instruction."""
        self.counts[instruction.name] += 1
        memory, address = instruction.memory, 0
        if memory:
            numbered = {None: 0, "rip": after}
            base = numbered[memory.base] if memory.base in numbered else register(REGISTERS[memory.base])
            stride = 0 if memory.index is None else register(REGISTERS[memory.index]) * memory.scale
            if instruction.name.startswith("tile"):
                return self.move(instruction, base + memory.displacement, stride)
            address = base + memory.displacement + stride & 2**64 - 1
        if instruction.name == "ldtilecfg":
            self.configure(self.memory.read(address, 64))
        elif instruction.name == "sttilecfg":
            self.memory.write(address, self.configuration())
        elif instruction.name == "tilerelease":
            self.release()
        elif instruction.name == "tilezero":
            self.check(instruction.tiles[0])
            self.tiles[instruction.tiles[0]] = 0
            self.start_row = 0
        else:
            self.multiply(*instruction.tiles)

    def configure(self, data):
        columns = np.frombuffer(data, "<u2", 8, 16).tolist()
        rows = list(data[48:56])
        if data[0] == 0:
            return self.release()
        if data[0] != 1:
            raise TileFault("#GP", f"ldtilecfg: palette {data[0]}")
        if any(data[2:16]) or any(data[32:48]) or any(data[56:64]):
            raise TileFault("#GP", "ldtilecfg: reserved bytes are not zero")
        for i, (c, r) in enumerate(zip(columns, rows)):
            if c > 64 or r > 16 or (c == 0) != (r == 0):
                raise TileFault("#GP", f"ldtilecfg: tile {i} of {r} rows of {c} bytes")
        self.release()
        self.palette, self.start_row, self.columns, self.rows = 1, data[1], columns, rows

    def configuration(self):
        columns = np.array(self.columns, "<u2").tobytes()
        start = bytes([self.palette, self.start_row]).ljust(16, b"\0")
        return start + columns + bytes(16) + bytes(self.rows) + bytes(8)

    def check(self, *tiles):
        if not self.palette:
            raise TileFault("#UD", "the tiles are not configured")
        for tile in tiles:
            if not self.rows[tile]:
                raise TileFault("#UD", f"tile {tile} is not configured")

    def move(self, instruction, start, stride):
        tile, = instruction.tiles
        self.check(tile)
        rows, columns = self.rows[tile], self.columns[tile]
        if columns % 4 or self.start_row >= rows:
            raise TileFault("#UD", f"{instruction.name}: tile {tile} of {rows} rows of {columns} bytes, "
                                   f"from row {self.start_row}")
        store = instruction.name == "tilestored"
        if not store:
            self.tiles[tile, self.start_row:] = 0
            self.tiles[tile, :, columns:] = 0
        for row in range(self.start_row, rows):
            address = start + row * stride & 2**64 - 1
            if store:
                self.memory.write(address, self.tiles[tile, row, :columns].tobytes())
            else:
                self.tiles[tile, row, :columns] = np.frombuffer(self.memory.read(address, columns), np.uint8)
        self.start_row = 0

    def multiply(self, target, left, right):
        if len({target, left, right}) < 3:
            raise TileFault("#UD", "tdpbf16ps: the three tiles must differ")
        self.check(target, left, right)
        m, n, k = self.rows[target], self.columns[target], self.rows[right]
        if n % 4 or self.columns[left] != 4 * k or self.columns[right] != n or self.rows[left] != m:
            shapes = ", ".join(f"{self.rows[t]} x {self.columns[t]} bytes" for t in (target, left, right))
            raise TileFault("#UD", f"tdpbf16ps: the tiles do not fit together: {shapes}")
        c, a, b = (np.ascontiguousarray(self.tiles[t, :self.rows[t], :self.columns[t]])
                   for t in (target, left, right))
        result = dot_bf16(c.view(np.float32), a.view(np.uint16), b.view(np.uint16))
        self.tiles[target] = 0
        self.tiles[target, :m, :n] = result.view(np.uint8)
        self.start_row = 0
