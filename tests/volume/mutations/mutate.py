"""Damage to files, as disks, transfers, broken software and malice do it; number n is the same damage each time."""

from __future__ import annotations

import io
import random
import re
import struct
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pydicom
import pydicom.config

from tests.volume.mutations.seeds import Seed

Damage = Callable[[bytearray, random.Random], None]

NUMBERS = (0, 1, 2, 3, 4, 7, 8, 16, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 10**6, 2**31 - 1, 2**31, 2**32 - 1,
           10**12, 2**62, 2**63, -1, -2, -32768)  # fmt: skip
FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1e-30, 1e30, -1e10, float("inf"), float("nan"), 49.9, 12345.678)
TEXTS = (b"0", b"-1", b"1", b"nan", b"inf", b"1e308", b"1e-308", b"99999999999999", b"", b"2.0000001", b"0x10",
         b"\xff\xfe", b"1 2", b"none", b"raw", b"../../outside.raw", b"/etc/passwd", b"LIST", b"%d")  # fmt: skip
HEADER = 4096  # most damage goes where the meaning is
SECRET = 1234  # what a file outside the input's folder holds


@dataclass(frozen=True)
class Mutation:
    """A damaged input."""

    number: int
    seed: Seed
    files: Mapping[str, bytes]
    what: str


def mutation(number: int, seeds: Sequence[Seed]) -> Mutation:
    """Return damage number n, whatever came before it; four of five hit files made here, which are surely valid."""
    rng = random.Random(number)
    made, real = ([seed for seed in seeds if seed.is_real == is_real] for is_real in (False, True))
    seed = rng.choice(real if real and number % 5 == 0 else made)
    names = list(seed.files)
    hit = [name for name in names if rng.random() < 0.5] if rng.random() < 0.2 else [rng.choice(names)]
    damages = DAMAGES[seed.kind if rng.random() < 0.6 else "raw"]
    chosen = [rng.choice(damages) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
    repeat = rng.randrange(2**32)  # every file hit is hit alike
    files = {}
    for name, content in seed.files.items():
        data = bytearray(content)
        if name in hit:
            alike = random.Random(repeat)
            for damage in chosen:
                if data:
                    damage(data, alike)
        files[name] = _packed(seed, name, bytes(data), damaged=name in hit, rng=rng)
    if rng.random() < 0.02:
        files.pop(rng.choice(names))
    return Mutation(number, seed, files, " + ".join(damage.__name__ for damage in chosen))


def _packed(seed: Seed, name: str, data: bytes, *, damaged: bool, rng: random.Random) -> bytes:
    """Squeeze what was damaged inside, and now and then damage the squeezed file, too."""
    if seed.packed is None or name != seed.entry:
        return data
    squeezed = bytearray(seed.packed(data))
    if damaged and rng.random() < 0.3:
        rng.choice(DAMAGES["raw"])(squeezed, rng)
    return bytes(squeezed)


def place(data: bytearray, rng: random.Random, size: int = 1) -> int:
    """Return an offset, mostly in the header."""
    span = len(data) if rng.random() < 0.15 else min(len(data), HEADER if rng.random() < 0.5 else 512)
    return rng.randrange(max(1, span - size + 1))


def flip_bits(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 2, 4, 32))):
        data[place(data, rng)] ^= 1 << rng.randrange(8)


def other_bytes(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 2, 8))):
        data[place(data, rng)] = rng.randrange(256)


def other_number(data: bytearray, rng: random.Random) -> None:
    size = rng.choice((1, 2, 4, 8))
    at = place(data, rng, size) // size * size if rng.random() < 0.7 else place(data, rng, size)
    value = rng.choice(NUMBERS) % 2 ** (8 * size)
    data[at : at + size] = value.to_bytes(size, rng.choice(("little", "big")))


def other_float(data: bytearray, rng: random.Random) -> None:
    size = rng.choice((4, 8))
    at = place(data, rng, size) // 4 * 4
    data[at : at + size] = struct.pack(f"{rng.choice('<>')}{'f' if size == 4 else 'd'}", rng.choice(FLOATS))


def cut_off(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) if rng.random() < 0.5 else len(data) - min(len(data), rng.randrange(1, 64)) :]


def go_on(data: bytearray, rng: random.Random) -> None:
    data += rng.choice((b"\0" * 4096, bytes(data), rng.randbytes(100), b"\0"))


def leave_out(data: bytearray, rng: random.Random) -> None:
    at = place(data, rng)
    del data[at : at + rng.choice((1, 2, 4, 8, 100))]


def put_in(data: bytearray, rng: random.Random) -> None:
    at = place(data, rng)
    data[at:at] = rng.choice((rng.randbytes(4), b"\0" * 8, b"\xff" * 4, bytes(data[at : at + 64])))


def twice(data: bytearray, rng: random.Random) -> None:
    at, size = place(data, rng), rng.choice((8, 64, 512))
    there = place(data, rng)
    data[there:there] = data[at : at + size]


def swap(data: bytearray, rng: random.Random) -> None:
    size, at, there = rng.choice((2, 8, 64)), place(data, rng), place(data, rng)
    data[at : at + size], data[there : there + size] = data[there : there + size], data[at : at + size]


def zeros(data: bytearray, rng: random.Random) -> None:
    at, size = place(data, rng), rng.choice((16, 512))
    data[at : at + size] = bytes(len(data[at : at + size]))


NIFTI_1 = {40 + 2 * n: "h" for n in range(8)} | {70: "h", 72: "h", 108: "f", 112: "f", 116: "f", 123: "b", 252: "h",
           254: "h", 0: "i", 344: "i"} | dict.fromkeys((*range(76, 108, 4), *range(256, 328, 4)), "f")  # fmt: skip
NIFTI_2 = {16 + 8 * n: "q" for n in range(8)} | {12: "h", 14: "h", 168: "q", 176: "d", 184: "d", 344: "i", 348: "i",
           500: "i"} | dict.fromkeys((*range(104, 168, 8), *range(352, 496, 8)), "d")  # fmt: skip


def _field(fields: Mapping[int, str]) -> Damage:
    def nifti_field(data: bytearray, rng: random.Random) -> None:
        at, kind = rng.choice(list(fields.items()))
        size = struct.calcsize(kind)
        if at + size > len(data):
            return
        if kind in "fd":
            packed = struct.pack(f"<{kind}", rng.choice(FLOATS))
        else:
            packed = (rng.choice(NUMBERS) % 2 ** (8 * size)).to_bytes(size, "little")
        data[at : at + size] = packed if data[0] else packed[::-1]

    return nifti_field


def text_value(data: bytearray, rng: random.Random) -> None:
    """Put something else in place of a word or number of a text header."""
    words = list(re.finditer(rb"[-+.\w/]+", bytes(data[:1024])))
    if words:
        word = rng.choice(words)
        data[word.start() : word.end()] = rng.choice(TEXTS) or b" "


def text_line(data: bytearray, rng: random.Random) -> None:
    """Drop a line of a text header, or say it twice, or move it."""
    lines = bytes(data[:2048]).split(b"\n")
    line = lines.pop(rng.randrange(min(len(lines), 16)))
    for _ in range(rng.randrange(3)):
        lines.insert(rng.randrange(len(lines) + 1), line)
    data[:2048] = b"\n".join(lines)


def elements(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield tag offset, value offset and length of the outer elements of an explicit little endian file."""
    at = 132
    while at + 8 <= len(data):
        long = data[at + 4 : at + 6] in (b"OB", b"OW", b"SQ", b"UN", b"UT", b"OF", b"OD", b"UC", b"UR")
        size = (
            struct.unpack_from("<I" if long else "<H", data, at + (8 if long else 6))[0] if at + 12 <= len(data) else 0
        )
        value = at + (12 if long else 8)
        yield at, value, min(size, len(data) - value)
        at = value + size


def _element(data: bytearray, rng: random.Random) -> tuple[int, int, int]:
    return rng.choice(list(elements(bytes(data))) or [(0, 0, 0)])


def element_length(data: bytearray, rng: random.Random) -> None:
    at, value, _ = _element(data, rng)
    data[value - 4 if value - at == 12 else at + 6 : value] = (rng.choice(NUMBERS) % 2**32).to_bytes(4, "little")[
        : 4 if value - at == 12 else 2
    ]


def element_value(data: bytearray, rng: random.Random) -> None:
    at, value, size = _element(data, rng)
    if value - at != 8:
        return
    text = rng.choice((*TEXTS, b"\\".join([rng.choice(TEXTS)] * rng.choice((2, 3, 6)))))
    if data[at + 4 : at + 6] in (b"US", b"SS", b"UL"):
        text = (rng.choice(NUMBERS) % 2 ** (8 * max(size, 1))).to_bytes(max(size, 1), "little")
    text += b" " * (len(text) % 2)
    data[at + 6 : value + size] = struct.pack("<H", len(text)) + text


def element_number(data: bytearray, rng: random.Random) -> None:
    """Change one digit of a number that is kept as text, such as a position or a spacing."""
    digits = [place for at, value, size in elements(bytes(data)) if bytes(data[at + 4 : at + 6]) in (b"DS", b"IS")
              for place in range(value, value + size) if chr(data[place]).isdigit()]  # fmt: skip
    if digits:
        data[rng.choice(digits)] = ord(rng.choice("0123456789-.e\\"))


def element_gone(data: bytearray, rng: random.Random) -> None:
    at, value, size = _element(data, rng)
    del data[at : value + size]


def element_twice(data: bytearray, rng: random.Random) -> None:
    at, value, size = _element(data, rng)
    there = _element(data, rng)[0]
    data[there:there] = data[at : value + size][:65536]


def element_kind(data: bytearray, rng: random.Random) -> None:
    at, *_ = _element(data, rng)
    data[at + 4 : at + 6] = rng.choice((b"SQ", b"UN", b"OB", b"US", b"DS", b"FD", b"AT", b"XX", b"\0\0", b"UI"))


def deep_sequences(data: bytearray, rng: random.Random) -> None:
    at, *_ = _element(data, rng)
    opening = struct.pack("<HH2s2xIHHI", 0x0040, 0xA730, b"SQ", 0xFFFFFFFF, 0xFFFE, 0xE000, 0xFFFFFFFF)
    data[at:at] = opening * rng.choice((3, 40, 5000))


def told_otherwise(data: bytearray, rng: random.Random) -> None:
    """Change an element at any depth and write the data set anew, valid in form."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(io.BytesIO(data), force=True)
            known = [(holder, tag) for holder in data_sets(dataset) for tag in holder.keys() if tag.group < 0x7FE0]  # noqa: SIM118 - else elements
            holder, tag = rng.choice(known)
            new = _otherwise(holder[tag], rng)
            del holder[tag]
            if new is not None:
                holder.add(pydicom.DataElement(tag, *new, validation_mode=pydicom.config.IGNORE))
            file = io.BytesIO()
            pydicom.dcmwrite(file, dataset)
    except Exception:  # noqa: BLE001 - other damage came first, or it cannot be written
        return
    data[:] = file.getvalue()


def data_sets(dataset: pydicom.Dataset) -> Iterator[pydicom.Dataset]:
    """Yield a data set and all that lie within."""
    yield dataset
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value:
                yield from data_sets(item)


def _otherwise(element: pydicom.DataElement, rng: random.Random) -> tuple[str, object] | None:
    """Return another representation and value of an element, or None where it shall go."""
    kind, value = element.VR, element.value
    if rng.random() < 0.15:
        return None
    if kind == "SQ":
        items = list(value)
        return kind, rng.choice((items[1:], items[::-1], items * 2, [], [*items, pydicom.Dataset()]))
    if kind in ("DS", "FD", "FL") and value is not None:
        several = list(value) if element.VM > 1 else [value]
        at = rng.randrange(max(1, len(several)))
        several[at : at + 1] = [
            rng.choice((*FLOATS, -float(several[at]), float(several[at]) + 1, float(several[at]) * 2))
        ]
        return kind, rng.choice((several, several[::-1], several[:-1], several * 2)) if rng.random() < 0.3 else several
    if kind in ("US", "UL", "IS", "SS"):
        return kind, rng.choice([number for number in NUMBERS if 0 <= number < 2**15])
    if kind in ("OB", "OW", "UN"):
        return kind, bytes(value or b"")[: rng.choice((0, 2, 10))]
    return kind, rng.choice(("", "1.2.3", "CT", "OTHER", "../x", "1\\2", "x" * 64))


def tar_name(data: bytearray, rng: random.Random) -> None:
    at = rng.choice(range(0, len(data), 512))
    names = (
        b"../outside",
        b"/tmp/outside-ctatlas",
        b"a/../../outside",
        b"x" * 99,
        b"CON",
        b"\xff\xfe",
        b".",
        b"",
        b"a//b",
    )
    data[at : at + 100] = rng.choice(names).ljust(100, b"\0")
    _seal(data, at)


def tar_kind(data: bytearray, rng: random.Random) -> None:
    at = rng.choice(range(0, len(data), 512))
    if at + 512 <= len(data):
        data[at + 156] = ord(rng.choice("0123456789xgLKSDN\0"))
        data[at + 157 : at + 257] = rng.choice((b"../outside", b"/etc/passwd", b"ct.nii")).ljust(100, b"\0")
        _seal(data, at)


def tar_size(data: bytearray, rng: random.Random) -> None:
    at = rng.choice(range(0, len(data), 512))
    data[at + 124 : at + 136] = rng.choice(
        (b"77777777777\0", b"\x80" + b"\0" * 3 + b"\xff" * 8, b"00000000000\0", b"-0000000001\0")
    )
    _seal(data, at)


def _seal(data: bytearray, at: int) -> None:
    """Make a tar header's checksum right again."""
    if at + 512 <= len(data):
        data[at + 148 : at + 156] = b" " * 8
        data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + 512])


def zip_name(data: bytearray, rng: random.Random) -> None:
    """Rename a member in place, in its own header and in the directory."""
    found = re.findall(rb"(?:study/00\d\.dcm|scan\.nii|readme\.txt)", bytes(data))
    if found:
        old = rng.choice(found)
        new = rng.choice(
            (b"../outside" * 3, b"/tmp/outside" * 3, b"..\\..\\outside" * 3, b"C:\\outside" * 3, b"./././././././.")
        )
        data[:] = bytes(data).replace(old, new[: len(old)])


def zip_header(data: bytearray, rng: random.Random) -> None:
    """Change a number in a member's header, the directory, or the end of it."""
    marks = [match.start() for match in re.finditer(rb"PK(?:\x01\x02|\x03\x04|\x05\x06)", bytes(data))]
    if marks:
        at = rng.choice(marks) + rng.randrange(4, 46)
        size = rng.choice((2, 4))
        data[at : at + size] = (rng.choice(NUMBERS) % 2 ** (8 * size)).to_bytes(size, "little")


RAW = (
    flip_bits,
    other_bytes,
    other_number,
    other_number,
    other_float,
    cut_off,
    go_on,
    leave_out,
    put_in,
    twice,
    swap,
    zeros,
)
DAMAGES: dict[str, tuple[Damage, ...]] = {
    "raw": RAW,
    "gzip": RAW,
    "nifti": (_field(NIFTI_1),),
    "nifti2": (_field(NIFTI_2),),
    "nrrd": (text_value, text_value, text_line),
    "metaimage": (text_value, text_value, text_line),
    "dicom": (element_length, element_value, element_value, element_number, element_number, element_gone, element_twice,
              element_kind, deep_sequences, told_otherwise, told_otherwise, told_otherwise),
    "zip": (zip_name, zip_header, zip_header),
    "tar": (tar_name, tar_kind, tar_size),
}  # fmt: skip
