"""A shared object laid out in the memory of an emulated machine, as a dynamic loader would."""
import struct

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection

PAGE = 4096
R_64, R_GLOB_DAT, R_JUMP_SLOT, R_RELATIVE = 1, 6, 7, 8


class ElfObject:
    """Loads `path` at `base`; symbols: the defined ones, name to address."""

    def __init__(self, machine, path, base):
        with open(path, "rb") as file:
            elf = ELFFile(file)
            if elf["e_machine"] != "EM_X86_64" or elf["e_type"] != "ET_DYN":
                raise SystemExit(f"error: {path} is not an x86-64 shared object")
            table = elf.get_section_by_name(".dynsym")
            if table is None:
                raise SystemExit(f"error: {path} exports no symbols")
            self.path, self.base = path, base
            self.symbols = {s.name: base + s["st_value"] for s in table.iter_symbols()
                            if s["st_shndx"] != "SHN_UNDEF" and s.name}
            image = self.image(elf)
            self.relocate(elf, table, image)
            for segment in elf.iter_segments("PT_LOAD"):
                start = segment["p_vaddr"] // PAGE * PAGE
                end = -(-(segment["p_vaddr"] + segment["p_memsz"]) // PAGE) * PAGE
                flags = segment["p_flags"]
                machine.map_pages(f"{path} +{start:#x}", base + start, bytes(image[start:end]),
                                  writable=bool(flags & 2), executable=bool(flags & 1))
            self.size = len(image)

    @staticmethod
    def image(elf):
        segments = list(elf.iter_segments("PT_LOAD"))
        end = max(s["p_vaddr"] + s["p_memsz"] for s in segments)
        image = bytearray(-(-end // PAGE) * PAGE)
        for s in segments:
            image[s["p_vaddr"]:s["p_vaddr"] + s["p_filesz"]] = s.data()
        return image

    def relocate(self, elf, table, image):
        for section in elf.iter_sections():
            if not isinstance(section, RelocationSection) or not section["sh_flags"] & 2:
                continue
            for entry in section.iter_relocations():
                kind, addend = entry["r_info_type"], entry["r_addend"]
                if kind == R_RELATIVE:
                    value = self.base + addend
                elif kind in (R_64, R_GLOB_DAT, R_JUMP_SLOT):
                    symbol = table.get_symbol(entry["r_info_sym"])
                    if symbol.name not in self.symbols:
                        raise SystemExit(f"error: {self.path} needs the symbol '{symbol.name}'; "
                                         "a kernel may need none")
                    value = self.symbols[symbol.name] + (addend if kind == R_64 else 0)
                else:
                    raise SystemExit(f"error: {self.path} has a relocation of kind {kind}")
                struct.pack_into("<Q", image, entry["r_offset"], value & 2**64 - 1)

    def locate(self, address):
        """An address in words: the function at or below it, and the address within the file."""
        if not self.base <= address < self.base + self.size:
            return f"{address:#x}"
        below = [(a, n) for n, a in self.symbols.items() if a <= address]
        name = "{1}+{0:#x} ".format(address - max(below)[0], max(below)[1]) if below else ""
        return f"{name}(object address {address - self.base:#x})"
