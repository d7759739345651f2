#!/usr/bin/env python3
"""Checks the emulated processor: AMX and its arithmetic, AVX-512, and that mistakes of kernels are found."""
import ctypes
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

import numpy as np

import amx_unit
from emulated_cpu import SIGNATURE, Fault, Machine
from run_kernel import Kernel

HERE = pathlib.Path(__file__).parent
CC = os.environ.get("CC", "gcc")
SHARED = ["-O2", "-shared", "-fPIC"]
TILES = [*SHARED, "-ffreestanding", "-nostdlib", "-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512bf16",
         "-mamx-tile", "-mamx-bf16"]
KINDS = {"near one": (117, 137), "all exponents": (0, 254), "tiny products": (54, 74), "denormals": (0, 2),
         "overflow": (180, 254)}


def build(folder):
    for name, flags in (("instructions", TILES), ("reference", [*SHARED, "-mfma", "-ffp-contract=off"])):
        subprocess.run([CC, *flags, HERE / f"{name}.c", "-o", folder / f"{name}.so"], check=True)


def bf16(generator, shape, low, high):
    """Random bf16 with exponent fields in [low, high], as uint16."""
    bits = generator.integers(low, high + 1, shape) << 7 | generator.integers(0, 128, shape)
    return (bits | generator.integers(0, 2, shape) << 15).astype(np.uint16)


def f32(generator, shape, low, high):
    return (bf16(generator, shape, low, high).astype(np.uint32) << 16
            | generator.integers(0, 1 << 16, shape).astype(np.uint32)).view(np.float32)


def to_bf16(values):
    """float32 that are bf16 exactly, as uint16."""
    return (np.asarray(values, np.float32).view(np.uint32) >> 16).astype(np.uint16)


def rounded_to_bf16(x):
    """VCVTNEPS2BF16 of values that are not NaN: to nearest even, denormals to zeros."""
    bits = x.view(np.uint32).astype(np.uint64)
    result = (bits + 0x7FFF + (bits >> 16 & 1) >> 16).astype(np.uint16)
    return np.where(bits & 0x7F80_0000, result, bits >> 16 & 0x8000).astype(np.uint16)


def native_bf16():
    """Whether this machine executes AVX-512 with BF16 itself."""
    info = pathlib.Path("/proc/cpuinfo")
    return info.exists() and " avx512_bf16" in info.read_text()


class Emulated(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.object = pathlib.Path(cls.folder.name) / "instructions.so"
        build(cls.object.parent)
        cls.reference = ctypes.CDLL(cls.object.parent / "reference.so")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def run_kernel(self, symbol, *arrays, outputs=1, sizes=(), **options):
        """The last `outputs` arrays are writable; returns their new contents and the report."""
        first = len(arrays) - outputs
        buffers = [{"name": f"b{i}", "data": a.tobytes(), "writable": i >= first}
                   for i, a in enumerate(arrays)]
        contents, report = Kernel(self.object, symbol)(buffers, sizes, **options)
        pairs = zip(contents[first:], arrays[first:])
        return [np.frombuffer(c, a.dtype).reshape(a.shape) for c, a in pairs], report

    def native(self, symbol, *arrays, sizes):
        """The same call on this machine."""
        arrays = [a.copy() for a in arrays]
        pointers = (ctypes.c_void_p * len(arrays))(*(a.ctypes.data for a in arrays))
        numbers = (ctypes.c_int64 * len(sizes))(*sizes)
        function = getattr(ctypes.CDLL(self.object), symbol)
        function(pointers, numbers, ctypes.c_int64(0), ctypes.c_int64(1), None)
        return arrays[-1]

    def assert_same(self, actual, expected):
        """The same bits; any NaN for a NaN."""
        nan = np.isnan(expected)
        self.assertTrue((np.isnan(actual) == nan).all())
        different = (actual.view(np.uint32) != expected.view(np.uint32)) & ~nan
        self.assertFalse(different.any(), f"{different.sum()} of {different.size} differ")

    def assert_fault(self, pattern, symbol, *arrays, **options):
        with self.assertRaisesRegex(Fault, pattern):
            self.run_kernel(symbol, *arrays, **options)


class Tiles(Emulated):
    def products(self, a, b, c):
        (result,), report = self.run_kernel("tile_products", a, b, c, end=len(a))
        self.assertEqual(report["amx"]["tdpbf16ps"], len(a))
        return result

    def test_arithmetic_against_scalar_code(self):
        for seed, (kind, (low, high)) in enumerate(KINDS.items()):
            with self.subTest(kind):
                generator = np.random.default_rng(seed)
                a, b = bf16(generator, (8, 16, 32), low, high), bf16(generator, (8, 16, 32), low, high)
                c = f32(generator, (8, 16, 16), max(0, 2 * low - 127), min(254, max(1, 2 * high - 127)))
                expected = c.copy()
                for i in range(len(a)):
                    self.reference.reference_tile_product(*(ctypes.c_void_p(x[i].ctypes.data)
                                                            for x in (a, b, expected)))
                self.assert_same(self.products(a, b, c), expected)

    def one_sum(self, start, terms):
        """c[0, 0] for products of a's row 0 and b's column 0; terms: k to (a, b)."""
        a, b, c = np.zeros((1, 16, 32)), np.zeros((1, 16, 16, 2)), np.zeros((1, 16, 16), np.float32)
        for k, (x, y) in terms.items():
            a[0, 0, k], b[0, k // 2, 0, k % 2] = x, y
        c[0, 0, 0] = start
        return float(self.products(to_bf16(a), to_bf16(b), c)[0, 0, 0])

    def test_order_by_hand(self):
        big, half = 2.0**24, 2.0**-126
        # Two chains: each of the ones is lost in the chain of the big number, not in the other.
        self.assertEqual(self.one_sum(0, {0: (big, 1), 2: (1, 1)}), big)
        self.assertEqual(self.one_sum(0, {0: (big, 1), 1: (1, 1), 3: (1, 1)}), big + 2)
        # In order of k: (1 + 1) + big, but not (big + 1) + 1.
        self.assertEqual(self.one_sum(0, {0: (1, 1), 2: (1, 1), 4: (big, 1)}), big + 2)
        self.assertEqual(self.one_sum(0, {0: (big, 1), 2: (1, 1), 4: (1, 1)}), big)
        # The chains start at zero, and their sum comes before the accumulator.
        self.assertEqual(self.one_sum(big, {0: (1, 1), 1: (1, 1)}), big + 2)
        self.assertEqual(self.one_sum(big, {0: (1, 1)}), big)
        self.assertEqual(self.one_sum(1, {0: (big, 1), 1: (-big, 1)}), 1)
        # Denormals: of the inputs, of the accumulator, of a product, of the sum; none is seen.
        self.assertEqual(self.one_sum(1, {0: (half / 2, 2.0**126)}), 1)
        self.assertEqual(self.one_sum(half / 2, {0: (half, 1)}), half)
        self.assertEqual(self.one_sum(0, {0: (half, 0.5), 2: (half, 0.5)}), 0)
        self.assertEqual(self.one_sum(half, {0: (-half * 0.75 * 2, 1)}), 0)
        # Tininess is judged after rounding: 2^-126 - 2^-150 is flushed, 2^-126 - 2^-151 is rounded up.
        self.assertEqual(self.one_sum(0, {0: (2.0**-63, 2.0**-63), 2: (-(2.0**-63), 2.0**-87)}), 0)
        self.assertEqual(self.one_sum(0, {0: (2.0**-63, 2.0**-63), 2: (-(2.0**-63), 2.0**-88)}), half)

    def test_matmul(self):
        m, n, k = 64, 64, 64
        generator = np.random.default_rng(0)
        a, b = generator.integers(-8, 9, (m, k)), generator.integers(-8, 9, (k, n))
        pairs = to_bf16(b).reshape(k // 2, 2, n).transpose(0, 2, 1)
        start = time.perf_counter()
        (c,), report = self.run_kernel("tile_matmul", to_bf16(a), np.ascontiguousarray(pairs),
                                       np.full((m, n), np.nan, np.float32), sizes=(m, n, k), end=m // 32)
        seconds = time.perf_counter() - start
        print(f"matmul of {m} x {n} x {k}: {report['instructions']} instructions, {seconds:.3f} s")
        self.assertTrue((c == a @ b).all())
        self.assertEqual(report["amx"], {"ldtilecfg": 1, "tilezero": 16, "tileloadd": 24, "tileloaddt1": 8,
                                         "tdpbf16ps": 32, "tilestored": 16, "tilerelease": 1})

    def test_a_range_of_items(self):
        a = to_bf16(np.ones((4, 16, 32)))
        (c,), _ = self.run_kernel("tile_products", a, a, np.zeros((4, 16, 16), np.float32), begin=1, end=3)
        self.assertEqual(c[:, 0, 0].tolist(), [0, 32, 32, 0])

    def test_small_tiles(self):
        generator = np.random.default_rng(0)
        a, b = generator.integers(-8, 9, (3, 4)), generator.integers(-8, 9, (4, 5))
        pairs = np.ascontiguousarray(to_bf16(b).reshape(2, 2, 5).transpose(0, 2, 1))
        (c, configuration), _ = self.run_kernel("tile_small", to_bf16(a), pairs, np.ones((3, 5), np.float32),
                                                np.zeros(64, np.uint8), outputs=2, scratch=64)
        self.assertTrue((c == a @ b + 1).all())
        expected = bytes([1, *[0] * 15, 20, 0, 8, 0, 20, *[0] * 27, 3, 3, 2, *[0] * 13])
        self.assertEqual(configuration.tobytes(), expected)

    def test_decoding_against_the_assembler(self):
        lines = {
            "ldtilecfg 64(%rsp)": ("ldtilecfg", 4, None, 1, 64),
            "sttilecfg (%r13,%r9,8)": ("sttilecfg", 13, 9, 8, 0),
            "ldtilecfg 256(%rip)": ("ldtilecfg", "rip", None, 1, 256),
            "tileloadd (%rax,%rbx),%tmm7": ("tileloadd", 0, 3, 1, 0),
            "tileloaddt1 -4096(%r12,%r15,4),%tmm3": ("tileloaddt1", 12, 15, 4, -4096),
            "tileloadd 64(,%rcx,1),%tmm1": ("tileloadd", None, 1, 1, 64),
            "tilestored %tmm2,16(%rbp,%r8,2)": ("tilestored", 5, 8, 2, 16),
            "tilezero %tmm5": ("tilezero",), "tilerelease": ("tilerelease",),
            "tdpbf16ps %tmm3,%tmm2,%tmm1": ("tdpbf16ps",), "tdpbssd %tmm3,%tmm2,%tmm1": None,
            "andn %r9,%r10,%r11": None, "bzhi %r9,%r10,%r11": None,
        }
        path = self.object.with_name("lines")
        path.with_suffix(".s").write_text(".text\n" + "\n".join(f"{x}\n.byte 0xf4" for x in lines) + "\n")
        subprocess.run([CC, "-c", path.with_suffix(".s"), "-o", path.with_suffix(".o")], check=True)
        subprocess.run(["objcopy", "-O", "binary", "-j", ".text", path.with_suffix(".o"), path], check=True)
        code, seen = path.read_bytes(), {}
        for line, expected in lines.items():
            found = seen[line] = amx_unit.decode(code)
            self.assertEqual(found and (found.name, *(found.memory or ())), expected, line)
            length = found.length if found else 5
            self.assertEqual(code[length], 0xF4, line)
            code = code[length + 1:]
        self.assertEqual(seen["tdpbf16ps %tmm3,%tmm2,%tmm1"].tiles, (1, 2, 3))
        self.assertEqual(seen["tileloaddt1 -4096(%r12,%r15,4),%tmm3"].tiles, (3,))

    def test_configurations(self):
        def configure(at, value):
            data = bytearray(64)
            data[0], data[16], data[48] = 1, 64, 16
            data[at] = value
            amx_unit.AmxUnit(None).configure(bytes(data))
        configure(0, 1)
        for at, value in (0, 2), (2, 1), (16, 65), (48, 17), (48, 0), (16, 0), (63, 1), (32, 1):
            with self.assertRaisesRegex(amx_unit.TileFault, "#GP"):
                configure(at, value)


class Avx512(Emulated):
    def test_dot(self):
        for seed, (kind, (low, high)) in enumerate(KINDS.items()):
            with self.subTest(kind):
                generator = np.random.default_rng(seed)
                n = 1000 + seed
                a, b = bf16(generator, (n, 2), low, high), bf16(generator, (n, 2), low, high)
                c = f32(generator, n, max(0, 2 * low - 127), min(254, max(1, 2 * high - 127)))
                expected = c.copy()
                self.reference.reference_dot(*(ctypes.c_void_p(x.ctypes.data) for x in (a, b, expected)),
                                             ctypes.c_int64(n))
                (actual,), _ = self.run_kernel("avx512_dot", a, b, c, sizes=(n,))
                self.assert_same(actual, expected)
                with np.errstate(all="ignore"):
                    wide = [amx_unit.from_bf16(x) for x in (a, b)]
                    chain = amx_unit.fused(wide[0][:, 1], wide[1][:, 1], c)
                    self.assert_same(amx_unit.fused(wide[0][:, 0], wide[1][:, 0], chain), expected)
                if native_bf16():
                    self.assert_same(self.native("avx512_dot", a, b, c, sizes=(n,)), expected)

    def test_dot_edges(self):
        a = to_bf16([[0, 2.0**-63], [0, 2.0**-63], [2.0**-126, 2.0**-127], [2.0**127, -(2.0**127)],
                     [1, 2.0**24]])
        b = to_bf16([[0, -(2.0**-87)], [0, -(2.0**-88)], [0.5, 2.0**127], [2, 2], [1, 1]])
        c = np.array([2.0**-126, 2.0**-126, 2.0**-130, 0, 0], np.float32)
        expected = np.array([0, 2.0**-126, 0, -np.inf, 2.0**24], np.float32)
        (actual,), _ = self.run_kernel("avx512_dot", a, b, c, sizes=(len(c),))
        self.assert_same(actual, expected)
        if native_bf16():
            self.assert_same(self.native("avx512_dot", a, b, c, sizes=(len(c),)), expected)

    def test_to_bf16(self):
        generator = np.random.default_rng(0)
        special = np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8, np.inf, -np.inf, 3.4e38, -0.0], np.float32)
        x = np.concatenate([f32(generator, 500, 0, 254), f32(generator, 501, 0, 2), special])
        out = np.zeros(len(x), np.uint16)
        (actual,), _ = self.run_kernel("avx512_to_bf16", x, out, sizes=(len(x),))
        self.assertEqual(actual.tobytes(), rounded_to_bf16(x).tobytes())
        if native_bf16():
            native = self.native("avx512_to_bf16", x, out, sizes=(len(x),))
            self.assertEqual(native.tobytes(), actual.tobytes())

    @unittest.skipUnless(native_bf16(), "needs a machine with AVX-512")
    def test_elementwise_as_on_this_machine(self):
        for low, high in KINDS.values():
            generator = np.random.default_rng(low)
            inputs = [f32(generator, 1003, low, high) for _ in range(3)]
            out = np.zeros(1003, np.float32)
            (actual,), _ = self.run_kernel("avx512_elementwise", *inputs, out, sizes=(1003,))
            self.assert_same(actual, self.native("avx512_elementwise", *inputs, out, sizes=(1003,)))


class Mistakes(Emulated):
    byte, page = np.zeros(1, np.uint8), np.zeros(4096, np.uint8)

    def test_reads(self):
        for at, pattern in ((4096, r"1 bytes past the end of 'b0', 4096 bytes at .*; at read_at\+0x"),
                            (-1, "1 bytes before 'b0'"), (1 << 45, "far from any region")):
            self.assert_fault(f"#PF: read at .*: {pattern}", "read_at", self.page, self.byte, sizes=(at,))

    def test_writes(self):
        self.assert_fault("#PF: write at .*: byte 0 of 'b1'.*read-only", "write_at", self.byte, self.byte,
                          sizes=(0,), outputs=0)
        for at, pattern in ((3, r"write around 'b1' \(1 bytes\): at byte 3"),
                            (-9, r"write around 'b1' \(1 bytes\): at byte -9"),
                            (64, "#PF: write at .*: 64 bytes past the end of 'b1'")):
            self.assert_fault(pattern, "write_at", self.byte, self.byte, sizes=(at,))

    def test_the_guard_before(self):
        buffers = [{"name": "a", "data": b"\x05", "guard": "before"}, {"name": "b", "data": b"\0"}]
        contents, _ = Kernel(self.object, "read_at")(buffers, (0,))
        self.assertEqual(contents, [b"\x05", b"\x05"])
        with self.assertRaisesRegex(Fault, "#PF: read at .*: 1 bytes before 'a'"):
            Kernel(self.object, "read_at")(buffers, (-1,))

    def test_tiles_leaving_a_buffer(self):
        tile = np.zeros(1024, np.uint8)
        self.assert_fault("#PF: read of 64 bytes at .*: 4 bytes past the end of 'b0'.*tileloadd at tile_load",
                          "tile_load_at", tile, sizes=(4,))
        self.assert_fault("#PF: read of 64 bytes .*: 64 bytes past the end of 'b2'", "tile_products",
                          tile, tile, tile[:960])
        self.assert_fault("#PF: write of 64 bytes .*read-only", "tile_products", tile, tile, tile, outputs=0)

    def test_configuration(self):
        self.assert_fault("#UD: the tiles are not configured; tilezero at forgets_configuration",
                          "forgets_configuration", outputs=0)
        self.assert_fault("returned without tilerelease", "forgets_release", outputs=0)

    def test_others(self):
        self.assert_fault(r"#UD: undefined opcode 0f 0b .*; at undefined\+0x0", "undefined", outputs=0)
        self.assert_fault("#GP", "privileged", outputs=0)
        self.assert_fault("still running after 1000 instructions, at spins", "spins", outputs=0, limit=1000)
        self.assert_fault("calling convention: .*rbx$", "clobbers", outputs=0)

    def test_the_processor_is_sapphire_rapids(self):
        machine = Machine()
        code = bytes.fromhex("31c9 b801000000 53 0fa2 5b 8907 c3")  # cpuid of 1; eax to (rdi)
        machine.map_pages("code", 0x1000, code.ljust(4096, b"\xcc"), writable=False, executable=True)
        answer = machine.map("answer", size=4)
        machine.call(0x1000, [answer.address])
        self.assertEqual(int.from_bytes(answer.contents(), "little"), SIGNATURE)


class CommandLine(Emulated):
    def job(self, **changes):
        tile = {"size": 1024, "zero": True}
        job = {"object": "instructions.so", "symbol": "tile_products", "sizes": [], "begin": 0, "end": 1,
               "buffers": [{"name": "a", **tile}, {"hex": "00" * 1024},
                           {"name": "c", "file": "c", "output": "out"}],
               "report": "report.json", **changes}
        folder = self.object.parent
        (folder / "c").write_bytes(np.arange(256, dtype=np.float32).tobytes())
        (folder / "job.json").write_text(json.dumps(job))
        return subprocess.run([sys.executable, HERE / "run_kernel.py", folder / "job.json"],
                              capture_output=True, text=True, check=False)

    def test_a_job(self):
        result = self.job()
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertEqual((self.object.parent / "out").read_bytes(), (self.object.parent / "c").read_bytes())
        report = (self.object.parent / "report.json").read_text()
        self.assertEqual(json.loads(report), json.loads(result.stdout))

    def test_expectations(self):
        folder = self.object.parent
        ones = np.ones((2, 16, 16), np.float32)
        (folder / "ones").write_bytes(ones.tobytes())
        (folder / "changed").write_bytes(ones[:1].tobytes() + bytes([1]) + ones[1:].tobytes()[1:])
        zeros = {"size": 2048, "zero": True}

        def job(expected, **changes):
            sums = {"name": "sums", "file": "ones", "expected": expected}
            return self.job(buffers=[zeros, zeros, sums], end=2, **changes)
        for cuts in ([], [0, 1, 1]):
            result = job("ones", cuts=cuts)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            self.assertEqual(json.loads(result.stdout)["amx"]["tilestored"], 2)
        result = job("changed")
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, r"^fault: 1 bytes of 'sums' .* 1024 to 1027: 00 00 80 3f instead of 01 00")

    def test_an_offset(self):
        folder = self.object.parent
        (folder / "sums").write_bytes(bytes(range(64)) + bytes(1024))
        sums = {"name": "sums", "file": "sums", "offset": 64, "expected": "sums"}
        tile = {"size": 1024, "zero": True}
        self.assertEqual(self.job(buffers=[tile, tile, sums]).returncode, 0)
        result = self.job(buffers=[tile, tile, {**sums, "offset": 128}])
        self.assertRegex(result.stderr, "past the end of 'sums'")

    def test_a_folder(self):
        self.job()
        jobs = self.object.parent / "jobs"
        jobs.mkdir()
        job = json.loads((self.object.parent / "job.json").read_text())
        job["object"] = "../instructions.so"
        job["buffers"][2]["file"] = "../c"
        (jobs / "1.json").write_text(json.dumps(job))
        (jobs / "2.json").write_text(json.dumps({**job, "end": 2}))
        result = subprocess.run([sys.executable, HERE / "run_kernel.py", jobs], capture_output=True, text=True,
                                check=False)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stdout, r"^1.json: {.*}\n2 jobs, 1 failed\n$")
        self.assertRegex(result.stderr, "^2.json: fault: ")

    def test_failures(self):
        result = self.job(end=2)
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, r"^fault: #PF: .* past the end of 'c'.*tileloadd at tile_products\+")
        for changes, message in (({"symbol": "none"}, "does not export 'none'"), ({"sizes": "x"}, "job.json"),
                                 ({"object": "absent.so"}, "absent.so"), ({"bufers": []}, "unknown keys")):
            result = self.job(**changes)
            self.assertEqual(result.returncode, 2, result.stderr)
            self.assertIn(message, result.stderr)
            self.assertNotIn("Traceback", result.stderr)


if __name__ == "__main__":
    unittest.main()
