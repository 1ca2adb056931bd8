"""Drives that can fail for real: file systems in image files on loop devices. They need root.

A file system that was shut down (``xfs_io -x -c shutdown``) answers everything with EIO, like one whose device is gone:
nothing more reaches it, its dirty pages are lost, and pages that are not cached can no longer be read. It comes back
by being unmounted, which needs everybody to have let go of it, and mounted again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from .server import until

#: More of what is tried in the suite already; it takes minutes, and one of them runs at a time.
LONG = (pytest.mark.soak, pytest.mark.skipif("SOS_SOAK" not in os.environ, reason="SOS_SOAK=1 runs it"))

#: The least that mkfs.xfs makes.
XFS_BYTES_MIN = 300 << 20
#: Enough for minutes of load, in which nothing that was overwritten is given back yet; the image is sparse.
BYTES = 4 << 30
TOOLS = {"xfs": ("mkfs.xfs", "xfs_io", "xfs_freeze"), "ext4": ("mkfs.ext4",)}


def missing(kind: str = "xfs") -> str:
    """Why such drives cannot be made here; empty where they can."""
    if os.geteuid() != 0:
        return "needs root to mount file systems"
    for tool in ("mount", "umount", "losetup", *TOOLS[kind]):
        if shutil.which(tool) is None:
            return f"needs {tool}"
    if kind not in Path("/proc/filesystems").read_text().split():
        subprocess.run(["modprobe", kind], check=False, capture_output=True)
        if kind not in Path("/proc/filesystems").read_text().split():
            return f"the kernel has no {kind}"
    found = subprocess.run(["losetup", "--find"], check=False, capture_output=True, text=True)
    return "" if found.returncode == 0 else f"no loop device: {found.stderr.strip()}"


def run(*command: str, check: bool = True) -> str:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


class Drive:
    """One image, mounted at ``path``; made empty.

    :param size: bytes of the device
    :param kind: ``xfs`` or ``ext4``
    """

    def __init__(self, path: Path, size: int = BYTES, kind: str = "xfs") -> None:
        self.path, self.kind = path, kind
        self.image = path.with_name(path.name + ".img")
        self._frozen = False
        with open(self.image, "wb") as file:
            file.truncate(size)
        if kind == "xfs":
            run("mkfs.xfs", "-q", "-f", str(self.image))
        else:
            run("mkfs.ext4", "-q", "-F", "-m", "0", str(self.image))
        path.mkdir()
        self.mount()

    # -- mounting --------------------------------------------------------------------------------------

    @property
    def mounted(self) -> bool:
        # from the table: the root of a file system that was shut down cannot be looked at
        mounts = Path("/proc/self/mounts").read_text().splitlines()
        return str(self.path) in (line.split()[1] for line in mounts)

    def mount(self) -> None:
        run("mount", "-o", "loop", str(self.image), str(self.path))

    def try_unmount(self) -> bool:
        """Whether it could be unmounted; it cannot while a process holds a file of it."""
        done = subprocess.run(["umount", str(self.path)], check=False, capture_output=True, text=True)
        return done.returncode == 0

    def unmount(self, patience_s: float = 30.0) -> None:
        """Once everybody has let go of it."""
        if self.mounted:
            until(self.try_unmount, f"everybody to let go of {self.path}", patience_s)

    def holders(self) -> list[str]:
        """Processes that keep it from being unmounted, for messages."""
        return run("fuser", "-vm", str(self.path), check=False).split() if shutil.which("fuser") else []

    # -- faults ----------------------------------------------------------------------------------------

    def shut_down(self) -> None:
        """The file system fails at once, nothing in flight is written."""
        run("xfs_io", "-x", "-c", "shutdown", str(self.path))

    def revive(self) -> None:
        """What an operator does after :meth:`shut_down`: unmount, and mount the healthy device again."""
        self.unmount()
        self.mount()

    def freeze(self) -> None:
        """Writes to it hang until :meth:`thaw`."""
        self._frozen = True
        run("xfs_freeze", "-f", str(self.path))

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Frozen while the block lasts, whatever happens in it."""
        self.freeze()
        try:
            yield
        finally:
            self.thaw()

    def thaw(self) -> None:
        if self._frozen:
            run("xfs_freeze", "-u", str(self.path), check=False)
            self._frozen = False

    def fill(self, leave: int = 0, name: str = "filler") -> int:
        """Take all space but ``leave`` bytes by a file of somebody else; its size."""
        status = os.statvfs(self.path)
        size = max(0, status.f_bavail * status.f_frsize - leave)
        with open(self.path / ".sos" / name, "wb") as file:
            while size > 0:
                try:
                    os.posix_fallocate(file.fileno(), 0, size)
                    break
                except OSError:
                    size -= 1 << 20
        return size

    def free(self) -> int:
        status = os.statvfs(self.path)
        return status.f_bavail * status.f_frsize

    # -- content ---------------------------------------------------------------------------------------

    def volumes(self) -> list[Path]:
        return sorted((self.path / ".sos/volumes").iterdir())

    def index(self) -> Path:
        return self.path / ".sos/index/data.mdb"

    def close(self) -> None:
        self.thaw()
        if self.mounted and not self.try_unmount():
            run("umount", "-l", str(self.path), check=False)
        self.image.unlink(missing_ok=True)


def find_all(path: Path, needle: bytes) -> list[int]:
    """Offsets of a byte string in a file."""
    found, data = [], path.read_bytes()
    at = data.find(needle)
    while at >= 0:
        found.append(at)
        at = data.find(needle, at + 1)
    return found


@contextlib.contextmanager
def drives(root: Path, count: int, size: int = BYTES, kind: str = "xfs") -> Iterator[list[Drive]]:
    """``count`` mounted drives ``d1 …`` in a directory."""
    made: list[Drive] = []
    try:
        for i in range(count):
            made.append(Drive(root / f"d{i + 1}", size, kind))
        yield made
    finally:
        close_all(made)


def close_all(made: Sequence[Drive]) -> None:
    for drive in made:
        drive.close()
