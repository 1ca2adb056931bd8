"""The tree that is stored: real files of this machine, and their comparison with what comes back."""

from __future__ import annotations

import os
import random
import shutil
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MIB = 1 << 20
BLOCK = 1 << 20
#: Where toolchains keep single files of tens to hundreds of MB.
LARGE_PLACES = ("/usr/local/go", "/usr/lib/go", "~/.rustup/toolchains", "/usr/local/rustup/toolchains", "/usr/lib/jvm", "/usr/lib")
LARGE_BYTES_MIN = 60 * MIB


@dataclass(frozen=True, slots=True)
class Size:
    """How much is taken.

    :param files_max, bytes_max: of small files
    :param large_count: how many large files
    :param large_bytes_max: of one large file, and of a generated one where the machine has none
    """

    files_max: int
    bytes_max: int
    large_count: int
    large_bytes_max: int


SIZES = {
    "tiny": Size(250, 12 * MIB, 1, 40 * MIB),
    "small": Size(4_000, 150 * MIB, 2, 256 * MIB),
    "full": Size(12_000, 4096 * MIB, 3, 1024 * MIB),
}


@dataclass(frozen=True, slots=True)
class Tree:
    """A directory with nothing but regular files and directories, by relative path and size."""

    path: Path
    sizes: dict[str, int]

    @property
    def count(self) -> int:
        return len(self.sizes)

    @property
    def bytes(self) -> int:
        return sum(self.sizes.values())


def default_sources() -> list[Path]:
    """The Python installation (where that is the whole of /usr, its library only) and the packages installed for it."""
    base, paths = Path(sys.base_prefix), sysconfig.get_paths()
    whole = base if base not in (Path("/usr"), Path("/usr/local")) else Path(paths["stdlib"])
    packages = Path(paths["purelib"])
    return [whole] if packages.is_relative_to(whole) else [whole, packages]


def files_of(path: Path) -> Iterator[Path]:
    """Regular files that can be read, in a fixed order."""
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            file = Path(folder, name)
            if file.is_file() and not file.is_symlink() and os.access(file, os.R_OK):
                yield file


def scan(path: Path) -> Tree:
    return Tree(path, {str(file.relative_to(path)): file.stat().st_size for file in files_of(path)})


def make(sources: Sequence[Path], path: Path, size: Size, tell: Callable[[str, int, int], None]) -> Tree:
    """Copy what is taken of ``sources``, and large files, into a new directory: a tree that nobody changes meanwhile.

    :param tell: called with (what, files, bytes) so far
    """
    files = total = 0
    for source, file in ((one, file) for one in sources for file in files_of(one)):
        length = file.stat().st_size
        if length >= LARGE_BYTES_MIN or total + length > size.bytes_max:
            continue
        copy = path / "small" / source.name / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, copy)
        files, total = files + 1, total + length
        tell("copying the tree", files, total)
        if files >= size.files_max:
            break
    (path / "large").mkdir(parents=True)
    for number, file in enumerate(large_files(size)):
        shutil.copyfile(file, path / "large" / f"{number} {file.name}")
    for number in range(len(list((path / "large").iterdir())), size.large_count):
        generate(path / "large" / f"{number} generated", min(size.large_bytes_max, 200 * MIB))
    return scan(path)


def large_files(size: Size) -> list[Path]:
    """The largest files of the toolchains within the size, no two of one name."""
    found: dict[str, Path] = {}
    for place in LARGE_PLACES if size.large_bytes_max > LARGE_BYTES_MIN else ():
        for file in files_of(Path(place).expanduser()):
            if LARGE_BYTES_MIN <= file.stat().st_size <= size.large_bytes_max:
                found.setdefault(file.name, file)
        if len(found) >= size.large_count:
            break
    return sorted(found.values(), key=lambda file: -file.stat().st_size)[: size.large_count]


def generate(path: Path, length: int) -> None:
    """A file that does not compress and has no two equal blocks."""
    source = random.Random(length)
    with open(path, "wb") as file:
        while length > 0:
            length -= file.write(source.randbytes(min(length, 8 * MIB)))


def compare(tree: Tree, copy: Path, tell: Callable[[str, int, int], None]) -> list[str]:
    """What differs, byte by byte; empty when the copy has exactly the tree's files with their content."""
    found = scan(copy)
    wrong = [f"missing: {name}" for name in tree.sizes.keys() - found.sizes.keys()]
    wrong += [f"not in the tree: {name}" for name in found.sizes.keys() - tree.sizes.keys()]
    done = 0
    for number, name in enumerate(sorted(tree.sizes.keys() & found.sizes.keys()), 1):
        if not equal(tree.path / name, copy / name):
            wrong.append(f"differs: {name}")
        done += tree.sizes[name]
        tell("comparing", number, done)
    return sorted(wrong)


def equal(one: Path, other: Path) -> bool:
    with open(one, "rb", buffering=0) as left, open(other, "rb", buffering=0) as right:
        while True:
            mine, his = left.read(BLOCK), right.read(BLOCK)
            if mine != his:
                return False
            if not mine:
                return True
