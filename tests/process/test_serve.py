"""``sos server`` with real drives and the toy in place of the store's workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from sos.base.pages import Pages
from sos.supervisor.boot import BootFailed, in_child
from sos.supervisor.probe import bad_drives
from sos.supervisor.suspects import Suspects
from tests.kit.server import ROOT, alive, until

OWN = {"MINIO_ROOT_USER": "operator", "MINIO_ROOT_PASSWORD": "a-good-password"}


def start(*arguments: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.process.toy_serve", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, **(env or {})},
    )  # fmt: skip


def banner(process: subprocess.Popen[str], last: str = "Try:") -> str:
    assert process.stdout is not None
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith(last):
            break
    return "".join(lines)


def stop(process: subprocess.Popen[str]) -> str:
    process.terminate()
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    return out


def test_banner_tells_what_an_operator_looks_for(tmp_path: Path) -> None:
    server = start("--address", "127.0.0.1:0", f"{tmp_path}/d{{1...4}}", env=OWN)
    text = banner(server) + stop(server)
    for part in ("http://127.0.0.1:", "4 online, 0 offline", "1 of 4 (EC:2)", "operator", "share one device"):
        assert part in text
    assert "a-good-password" not in text
    assert (tmp_path / "d1/.sos/format.json").exists()


def test_second_server_on_the_same_drives_is_refused(tmp_path: Path) -> None:
    first = start("--address", "127.0.0.1:0", f"{tmp_path}/d{{1...4}}")
    banner(first)
    second = start("--address", "127.0.0.1:0", f"{tmp_path}/d{{1...4}}")
    _, err = second.communicate(timeout=20)
    assert second.returncode == 1
    assert "another server uses this drive" in err
    stop(first)


def test_drives_can_be_taken_at_once_after_the_supervisor_was_killed(tmp_path: Path) -> None:
    first = start("--address", "127.0.0.1:0", str(tmp_path / "data"))
    banner(first)
    first.kill()
    first.communicate(timeout=20)
    second = start("--address", "127.0.0.1:0", str(tmp_path / "data"))
    assert "1 online" in banner(second)
    stop(second)


def test_port_in_use_is_told_before_any_drive_is_formatted(tmp_path: Path) -> None:
    first = start("--address", "127.0.0.1:0", str(tmp_path / "a"))
    port = banner(first).partition("http://127.0.0.1:")[2].split()[0]
    second = start("--address", f"127.0.0.1:{port}", str(tmp_path / "b"))
    _, err = second.communicate(timeout=20)
    assert second.returncode == 1
    assert "is in use" in err
    assert not (tmp_path / "b").exists()
    stop(first)


def test_foreign_data_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/letter").write_text("mine")
    server = start("--address", "127.0.0.1:0", str(tmp_path / "data"))
    _, err = server.communicate(timeout=20)
    assert server.returncode == 1
    assert "somebody else's data" in err
    assert os.listdir(tmp_path / "data") == ["letter"]


def test_missing_drive_is_reported_and_the_others_serve(tmp_path: Path) -> None:
    stopped = start("--address", "127.0.0.1:0", f"{tmp_path}/d{{1...4}}")
    banner(stopped)
    stop(stopped)
    os.rename(tmp_path / "d2", tmp_path / "gone")
    server = start("--address", "127.0.0.1:0", f"{tmp_path}/d{{1...4}}")
    text = banner(server) + stop(server)
    assert "3 online, 1 offline" in text
    assert f"OFFLINE:  {tmp_path}/d2" in text
    assert not (tmp_path / "d2").exists(), "a mount point without its drive must not be written to"


def test_public_address_with_default_credentials_is_refused(tmp_path: Path) -> None:
    """A27: refuse to start on a non-loopback address with default credentials."""
    server = start("--address", "0.0.0.0:0", str(tmp_path / "a"))
    _, err = server.communicate(timeout=20)
    assert server.returncode == 1
    assert "refusing to listen" in err
    assert not (tmp_path / "a").exists()


def test_a_bad_certificate_stops_the_start_before_anything_is_touched(tmp_path: Path) -> None:
    (tmp_path / "public.crt").touch()
    server = start("--address", "127.0.0.1:0", "--certs-dir", str(tmp_path), str(tmp_path / "a"))
    _, err = server.communicate(timeout=20)
    assert server.returncode == 1
    assert "public.crt" in err
    assert not (tmp_path / "a").exists()


def test_supervisor_opens_no_drive_and_imports_no_web_server(tmp_path: Path) -> None:
    server = start("--address", "127.0.0.1:0", str(tmp_path / "data"))
    banner(server)
    maps = Path(f"/proc/{server.pid}/maps").read_text()
    held = [os.readlink(entry) for entry in Path(f"/proc/{server.pid}/fd").iterdir()]
    stop(server)
    assert str(tmp_path) not in maps
    assert [path for path in held if path.startswith(str(tmp_path))] == [str(tmp_path / "data/.sos/lock")]
    code = "import sys, sos.cli.server; print([m for m in ('sanic', 'uvloop') if m in sys.modules])"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert told.stdout.strip() == "[]"


def test_idle_supervisor_rests(tmp_path: Path) -> None:
    """It wakes about once a second and writes nothing."""
    server = start("--address", "127.0.0.1:0", str(tmp_path / "data"))
    banner(server)

    def wakes() -> int:
        text = Path(f"/proc/{server.pid}/status").read_text()
        return int(text.partition("voluntary_ctxt_switches:")[2].split()[0])

    def written() -> str:
        return Path(f"/proc/{server.pid}/io").read_text().partition("syscw: ")[2].split()[0]

    before, wrote = wakes(), written()
    until(lambda: wakes() > before, "a turn")
    first = wakes()
    begin = os.times().elapsed
    until(lambda: wakes() >= first + 2, "two turns")
    assert os.times().elapsed - begin > 1.5
    assert written() == wrote
    stop(server)


def test_boot_child_hands_over_descriptors_and_text() -> None:
    def work() -> tuple[bytes, list[int]]:
        fds = []
        for number in range(300):
            read, write = os.pipe()
            os.write(write, b"%d" % number)
            os.close(write)
            fds.append(read)
        return b"text" * 100_000, fds

    text, fds = in_child(work, 10, ())
    assert text == b"text" * 100_000
    assert [os.read(fd, 9) for fd in fds] == [b"%d" % number for number in range(300)]
    for fd in fds:
        os.close(fd)


def test_boot_child_failures_are_told_apart() -> None:
    def refuses() -> tuple[bytes, list[int]]:
        raise LookupError("no such drive")

    def dies() -> tuple[bytes, list[int]]:
        os.kill(os.getpid(), signal.SIGKILL)
        return b"", []

    def hangs() -> tuple[bytes, list[int]]:
        signal.pause()
        return b"", []

    with pytest.raises(BootFailed, match="no such drive"):
        in_child(refuses, 10, (LookupError,))
    with pytest.raises(BootFailed, match="see the log"):
        in_child(dies, 10, ())
    with pytest.raises(BootFailed, match="do not answer"):
        in_child(hangs, 0.2, ())


def make_drive(path: Path) -> str:
    (path / ".sos/index").mkdir(parents=True)
    (path / ".sos/volumes").mkdir()
    (path / ".sos/format.json").write_text("{}")
    (path / ".sos/index/data.mdb").write_bytes(bytes(1 << 20))
    return str(path)


def test_probe_finds_the_drive_that_cannot_be_read(tmp_path: Path) -> None:
    good, gone = make_drive(tmp_path / "a"), make_drive(tmp_path / "b")
    (tmp_path / "b/.sos/index/data.mdb").unlink()
    hung = make_drive(tmp_path / "c")
    os.mkfifo(tmp_path / "c/.sos/volumes/0000-00000001")  # opening it waits for ever, as a hung drive does
    before = _children()
    assert bad_drives([good, gone, hung]) == [1, 2]
    # what hung is killed, and dead a moment later
    until(lambda: _children() <= before, "the end of every probe")


def _children() -> set[str]:
    """Of this process, which may have started servers for other tests."""
    return {pid for pid in os.listdir("/proc") if pid.isdigit() and alive(int(pid)) and _is_child(int(pid))}


def _is_child(pid: int) -> bool:
    try:
        return f"PPid:\t{os.getpid()}\n" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_suspects_are_marked_by_probe_or_when_named_twice() -> None:
    pages = Pages(1, 2)
    suspects = Suspects(pages, [["a", "b", "c"], ["d"]], lambda paths: [i for i, p in enumerate(paths) if p == "b"])
    suspects.suspect([0, 1], "test")
    assert pages.suspects(0) == 0b010
    suspects.suspect([2], "first time, reads well")
    assert pages.suspects(0) == 0b010
    suspects.suspect([2], "second time")
    assert pages.suspects(0) == 0b110
    suspects.suspect([3, 3], "the only drive of its set")
    suspects.suspect([3], "again")
    assert pages.suspects(1) == 0


def test_a_drive_that_hangs_does_not_make_the_others_look_bad(tmp_path: Path) -> None:
    """They are judged after it; it is the first one here."""
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        (path / ".sos/index").mkdir(parents=True)
        (path / ".sos/volumes").mkdir()
        (path / ".sos/index/data.mdb").write_bytes(bytes(65_536))
        if path is not paths[0]:
            (path / ".sos/format.json").write_bytes(bytes(65_536))
    os.mkfifo(paths[0] / ".sos/format.json")  # opening it waits for somebody who writes
    assert bad_drives([str(path) for path in paths]) == [0]


def test_other_work_goes_on_while_the_boot_child_works() -> None:
    read, write = os.pipe()

    def waits() -> tuple[bytes, list[int]]:
        return os.read(read, 9), []

    # the child ends only after what is done meanwhile
    text, _ = in_child(waits, 10, (), lambda: os.write(write, b"meanwhile") and None)
    assert text == b"meanwhile"

    children = psutil.Process().children()
    with pytest.raises(ZeroDivisionError):
        in_child(waits, 10, (), lambda: 1 // 0 and None)
    assert psutil.Process().children() == children
    os.close(read)
    os.close(write)
