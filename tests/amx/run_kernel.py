#!/usr/bin/env python3
"""Calls a generated kernel (runtime/kernel_abi.h) on an emulated Sapphire Rapids: run_kernel.py job.json
Given a folder, all of its *.json.

The job:
  {"object": "kernel.so", "symbol": "k",
   "buffers": [{"name": "a", "file": "a.bin"},                          the contents of a file,
               {"name": "b", "hex": "0000803f", "writable": false},     or these bytes,
               {"name": "c", "size": 4096, "zero": true,                or zeros; without "zero", poison
                "output": "c.bin", "align": 64, "guard": "after"},      (0xFF: NaNs)
               {"name": "d", "size": 4096, "expected": "d.bin",         to be compared with a file's
                "offset": 64}],                                         what the pointer is ahead of the buffer
   "sizes": [64, 64, 64], "begin": 0, "end": 4, "scratch": 8192,
   "cuts": [1, 3],                                                      items 0, then 1 and 2, then 3
   "limit": 100000000, "mxcsr": 8064, "report": "report.json"}

A buffer is writable if it has an "output" or an "expected" or says so. "size" may exceed the given bytes: the
rest is poison. Files are relative to the job. Exit status: 0 if the kernel returned, wrote only where it may
and what was expected, 1 with a message on stderr otherwise (outputs are then not written), 2 if the job is
wrong. The report counts instructions; it is printed too."""
import collections
import json
import pathlib
import struct
import sys

from elf_object import ElfObject
from emulated_cpu import FIRST_ADDRESS, Fault, Machine

OBJECT_ADDRESS = FIRST_ADDRESS // 2
BUFFER_KEYS = {"name", "file", "hex", "zero", "size", "output", "expected", "offset", "writable", "align", "guard"}
JOB_KEYS = {"object", "symbol", "buffers", "sizes", "begin", "end", "cuts", "scratch", "limit", "mxcsr", "report"}


class Kernel:
    """A function with the kernels' signature. Every call has a machine of its own."""

    def __init__(self, path, symbol):
        self.path, self.symbol = str(path), symbol

    def __call__(self, buffers, sizes=(), begin=0, end=1, scratch=0, **options):
        """buffers: dictionaries with name, data, and optionally size, offset, writable, align, guard. Returns
        the contents of all buffers after the call, and the report. Raises Fault."""
        machine = Machine()
        code = ElfObject(machine, self.path, OBJECT_ADDRESS)
        if self.symbol not in code.symbols:
            raise SystemExit(f"error: {self.path} does not export '{self.symbol}'")
        offsets = [buffer.get("offset", 0) for buffer in buffers]
        regions = [machine.map(**{k: v for k, v in buffer.items() if k != "offset"}) for buffer in buffers]
        pointers = struct.pack(f"<{len(regions)}Q", *(r.address + o for r, o in zip(regions, offsets)))
        pointers = machine.map("the table of buffers", pointers, align=8, writable=False)
        numbers = machine.map("the sizes", struct.pack(f"<{len(sizes)}q", *sizes), align=8, writable=False)
        space = machine.map("scratch", size=scratch)
        arguments = (pointers.address, numbers.address, begin, end, space.address)
        count = machine.call(code.symbols[self.symbol], arguments, locate=code.locate, **options)
        for region in [*regions, space]:
            if stray := region.stray_writes():
                raise Fault(f"write around '{region.name}' ({region.size} bytes): at byte {stray[0]}")
        if machine.amx.palette:
            raise Fault("the kernel returned without tilerelease")
        return [r.contents() for r in regions], {"instructions": count, "amx": dict(machine.amx.counts)}


def buffer_of(entry, number, folder):
    """A buffer of the job as Machine.map takes it."""
    if unknown := set(entry) - BUFFER_KEYS:
        raise SystemExit(f"error: buffer {number} has unknown keys: {', '.join(sorted(unknown))}")
    if sum(key in entry for key in ("file", "hex", "zero")) > 1:
        raise SystemExit(f"error: buffer {number} has more than one of file, hex and zero")
    data = b""
    if "file" in entry:
        data = (folder / entry["file"]).read_bytes()
    elif "hex" in entry:
        data = bytes.fromhex(entry["hex"])
    elif entry.get("zero"):
        data = bytes(entry["size"])
    size = entry.get("size", len(data))
    if size < len(data):
        raise SystemExit(f"error: buffer {number} is of {size} bytes, less than its contents")
    return {"name": entry.get("name", f"buffer {number}"), "data": data, "size": size,
            "offset": entry.get("offset", 0),
            "writable": entry.get("writable", "output" in entry or "expected" in entry),
            "align": entry.get("align", 64), "guard": entry.get("guard", "after")}


def compare(name, actual, expected):
    if len(actual) != len(expected):
        raise SystemExit(f"error: '{name}' is of {len(actual)} bytes when {len(expected)} are expected")
    wrong = [i for i, (x, y) in enumerate(zip(actual, expected)) if x != y]
    if wrong:
        at = wrong[0] // 4 * 4
        raise Fault(f"{len(wrong)} bytes of '{name}' ({len(actual)} bytes) are not as expected, the first in bytes "
                    f"{at} to {at + 3}: {actual[at:at + 4].hex(' ')} instead of {expected[at:at + 4].hex(' ')}")


def run(path):
    """One job; its report."""
    job, folder = json.loads(path.read_text()), path.parent
    if unknown := set(job) - JOB_KEYS:
        raise SystemExit(f"error: unknown keys: {', '.join(sorted(unknown))}")
    buffers = [buffer_of(entry, i, folder) for i, entry in enumerate(job["buffers"])]
    options = {key: job[key] for key in ("limit", "mxcsr") if key in job}
    kernel = Kernel(folder / job["object"], job["symbol"])
    ends = [job.get("begin", 0), *job.get("cuts", ()), job.get("end", 1)]
    report = {"instructions": 0, "amx": collections.Counter()}
    for begin, end in zip(ends, ends[1:]):
        contents, counts = kernel(buffers, job.get("sizes", ()), begin, end, job.get("scratch", 0), **options)
        buffers = [{**buffer, "data": data} for buffer, data in zip(buffers, contents)]
        report["instructions"] += counts["instructions"]
        report["amx"].update(counts["amx"])
    for entry, buffer in zip(job["buffers"], buffers):
        if "expected" in entry:
            compare(buffer["name"], buffer["data"], (folder / entry["expected"]).read_bytes())
    for entry, data in zip(job["buffers"], contents):
        if "output" in entry:
            (folder / entry["output"]).write_bytes(data)
    if "report" in job:
        (folder / job["report"]).write_text(json.dumps(report) + "\n")
    return report


def status_of(path, prefix=""):
    """Runs a job and prints its report; the exit status, with a message where it is not 0."""
    try:
        print(prefix + json.dumps(run(path)), flush=True)
        return 0
    except Fault as fault:
        print(f"{prefix}fault: {fault}", file=sys.stderr)
        return 1
    except SystemExit as error:
        print(f"{prefix}{error}", file=sys.stderr)
    except (OSError, KeyError, TypeError, ValueError, struct.error) as error:
        print(f"error: {path}: {type(error).__name__}: {error}", file=sys.stderr)
    return 2


def main():
    if len(sys.argv) != 2:
        print("usage: run_kernel.py job.json | folder", file=sys.stderr)
        return 2
    path = pathlib.Path(sys.argv[1])
    if not path.is_dir():
        return status_of(path)
    statuses = [status_of(job, f"{job.name}: ") for job in sorted(path.glob("*.json"))]
    if not statuses:
        print(f"error: {path} has no jobs", file=sys.stderr)
        return 2
    print(f"{len(statuses)} jobs, {sum(s != 0 for s in statuses)} failed")
    return max(statuses)


if __name__ == "__main__":
    sys.exit(main())
