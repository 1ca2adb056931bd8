"""The clients: how each stores the tree, and how what it stored is verified. Retries are the clients' own defaults."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.kit.server import PASSWORD, USER

from .show import Failed, Show, size_text
from .tree import Tree, compare

Progress = Callable[[float], None]
LinesOf = Callable[[str], float]
TAIL_LINES = 12
#: Settings of the reader's own, which have no business here.
FOREIGN = ("AWS_", "RCLONE_", "RESTIC_")


def which(name: str) -> str:
    """The path of a program; empty when there is none."""
    return shutil.which(name, path=f"{Path(sys.prefix, 'bin')}:{os.environ.get('PATH', '')}") or ""


class Client:
    """One client and what it keeps on disk.

    :param home: its configuration, logs and downloads
    """

    name = ""
    program = ""
    install = ""

    def __init__(self, url: str, home: Path, tree: Tree, show: Show) -> None:
        self.url, self.home, self.tree, self.show = url, home, tree, show
        home.mkdir(parents=True, exist_ok=True)
        self.env: Mapping[str, str] = {}
        self._ran = 0

    @classmethod
    def found(cls) -> bool:
        return bool(which(cls.program))

    @property
    def bucket(self) -> str:
        return f"real-{self.name.split()[0]}"

    def store(self, progress: Progress) -> None:
        """Upload the tree. :raises Failed:"""
        raise NotImplementedError

    def verify(self, progress: Progress) -> None:
        """Read everything back and compare it. :raises Failed:"""
        raise NotImplementedError

    def run(self, arguments: Sequence[str | Path], fraction: LinesOf, progress: Progress) -> list[str]:
        """Run the program, watching its lines; all of them.

        :param fraction: how far it is, by a line; below 0 where the line does not tell
        :raises Failed: another exit code than 0
        """
        self._ran += 1
        log = self.home / f"{self._ran}.log"
        env = {k: v for k, v in os.environ.items() if not k.upper().startswith(FOREIGN) and not k.lower().endswith("_proxy")}
        env |= self.env
        command = [which(self.program), *map(str, arguments)]
        lines: list[str] = []
        with (
            open(log, "w", encoding="utf-8") as file,
            subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, text=True, errors="replace"
            ) as process,
        ):
            assert process.stdout is not None
            for line in process.stdout:
                file.write(line)
                lines.append(line.rstrip())
                if (now := fraction(line)) >= 0:
                    progress(now)
                    self.show.progress(f"{self.name}: {now:4.0%}  {line.strip()[-90:]}")
        if process.returncode != 0:
            raise Failed(f"{self.program} ended with {process.returncode}:\n" + "\n".join(lines[-TAIL_LINES:]))
        return lines

    def compare(self, copy: Path) -> None:
        """:raises Failed: the copy is not the tree"""
        wrong = compare(self.tree, copy, self.show.counted)
        shutil.rmtree(copy)
        if wrong:
            raise Failed(f"{len(wrong)} files are not what was stored: {'; '.join(wrong[:5])}")

    def lines_with(self, *texts: str) -> LinesOf:
        """Progress by lines that begin with one of these texts, one for each file."""
        seen = 0

        def fraction(line: str) -> float:
            nonlocal seen
            if not line.startswith(texts):
                return -1
            seen += 1
            return min(1.0, seen / self.tree.count)

        return fraction


class Rclone(Client):
    name, program, install = "rclone sync", "rclone", "apt-get install rclone"

    def __init__(self, url: str, home: Path, tree: Tree, show: Show) -> None:
        super().__init__(url, home, tree, show)
        (home / "rclone.conf").touch()
        self.env = {
            "RCLONE_CONFIG": str(home / "rclone.conf"),
            "RCLONE_CONFIG_SOS_TYPE": "s3",
            "RCLONE_CONFIG_SOS_PROVIDER": "Minio",
            "RCLONE_CONFIG_SOS_ENDPOINT": url,
            "RCLONE_CONFIG_SOS_ACCESS_KEY_ID": USER,
            "RCLONE_CONFIG_SOS_SECRET_ACCESS_KEY": PASSWORD,
        }
        self._stats = ("--stats", "500ms", "--stats-one-line", "--stats-log-level", "NOTICE")

    @staticmethod
    def _percent(line: str) -> float:
        found = re.search(r", (\d+)%,", line)
        return int(found[1]) / 100 if found else -1

    def store(self, progress: Progress) -> None:
        self.run(["sync", self.tree.path, f"sos:{self.bucket}", *self._stats], self._percent, progress)

    def verify(self, progress: Progress) -> None:
        lines = self.run(["check", "--download", self.tree.path, f"sos:{self.bucket}", *self._stats], self._percent, progress)
        said = "\n".join(lines)
        if "0 differences found" not in said or f"{self.tree.count} matching files" not in said:
            raise Failed(f"rclone check did not find all files equal:\n{said[-600:]}")


class Aws(Client):
    name, program, install = "aws s3 sync", "aws", "pip install awscli"

    def __init__(self, url: str, home: Path, tree: Tree, show: Show) -> None:
        super().__init__(url, home, tree, show)
        self.env = {
            "AWS_ACCESS_KEY_ID": USER,
            "AWS_SECRET_ACCESS_KEY": PASSWORD,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": str(home / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(home / "credentials"),
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def _aws(self, arguments: Sequence[str | Path], fraction: LinesOf, progress: Progress) -> None:
        self.run(["--endpoint-url", self.url, "s3", *arguments], fraction, progress)

    def store(self, progress: Progress) -> None:
        self._aws(["mb", f"s3://{self.bucket}"], lambda _: -1, progress)
        self._aws(["sync", self.tree.path, f"s3://{self.bucket}", "--no-progress"], self.lines_with("upload:"), progress)

    def verify(self, progress: Progress) -> None:
        copy = self.home / "download"
        self._aws(["sync", f"s3://{self.bucket}", copy, "--no-progress"], self.lines_with("download:"), progress)
        self.compare(copy)


class S3cmd(Client):
    name, program, install = "s3cmd sync", "s3cmd", "apt-get install s3cmd"

    def __init__(self, url: str, home: Path, tree: Tree, show: Show) -> None:
        super().__init__(url, home, tree, show)
        host = url.removeprefix("http://")
        self._config = home / "s3cfg"
        self._config.write_text(
            f"[default]\naccess_key = {USER}\nsecret_key = {PASSWORD}\nhost_base = {host}\nhost_bucket = {host}\n"
            "use_https = False\nbucket_location = us-east-1\n"
        )

    def _s3cmd(self, arguments: Sequence[str | Path], fraction: LinesOf, progress: Progress) -> None:
        self.run(["--config", self._config, "--no-progress", *arguments], fraction, progress)

    def store(self, progress: Progress) -> None:
        self._s3cmd(["mb", f"s3://{self.bucket}"], lambda _: -1, progress)
        target = f"s3://{self.bucket}/"
        # files that are equal to another are copied in the store
        self._s3cmd(["sync", f"{self.tree.path}/", target], self.lines_with("upload:", "remote copy:"), progress)

    def verify(self, progress: Progress) -> None:
        copy = self.home / "download"
        copy.mkdir()
        self._s3cmd(["sync", f"s3://{self.bucket}/", f"{copy}/"], self.lines_with("download:"), progress)
        self.compare(copy)


class Restic(Client):
    name, program, install = "restic backup", "restic", "apt-get install restic"

    def __init__(self, url: str, home: Path, tree: Tree, show: Show) -> None:
        super().__init__(url, home, tree, show)
        self.env = {
            "AWS_ACCESS_KEY_ID": USER,
            "AWS_SECRET_ACCESS_KEY": PASSWORD,
            "RESTIC_REPOSITORY": f"s3:{url}/{self.bucket}/repository",
            "RESTIC_PASSWORD": "a password of the repository",
            "RESTIC_CACHE_DIR": str(home / "cache"),
            "RESTIC_PROGRESS_FPS": "2",
        }

    @staticmethod
    def _percent(line: str) -> float:
        if not line.startswith("{"):
            return -1
        try:
            return float(json.loads(line).get("percent_done", -1))
        except ValueError:
            return -1

    def store(self, progress: Progress) -> None:
        self.run(["init"], lambda _: -1, progress)
        lines = self.run(["backup", "--json", self.tree.path], self._percent, progress)
        end = json.loads(lines[-1])
        self.show.say(f"    restic: {end['total_files_processed']} files, {size_text(end['data_added'])} after deduplication")

    def verify(self, progress: Progress) -> None:
        lines = self.run(["check", "--read-data"], lambda _: -1, progress)
        if not any("no errors were found" in line for line in lines):
            raise Failed("restic check:\n" + "\n".join(lines[-TAIL_LINES:]))
        copy = self.home / "restored"
        self.run(["restore", "latest", "--target", copy], lambda _: -1, progress)
        restored = copy / self.tree.path.relative_to("/")
        self.compare(restored)
        shutil.rmtree(copy)


CLIENTS: tuple[type[Client], ...] = (Rclone, Aws, S3cmd, Restic)
