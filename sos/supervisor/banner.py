"""What an operator wants to see at the start: addresses, drives, parity, version, warnings."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass

from ..config.address import Address, is_loopback


@dataclass(frozen=True, slots=True)
class Facts:
    """What the banner tells.

    :param sets: drives, and parity of STANDARD, of each set
    :param offline: paths of the drives that are not served
    """

    version: str
    api: Address
    console: Address
    secure: bool
    user: str
    workers: int
    pools: int
    sets: Sequence[tuple[int, int]]
    offline: Sequence[str] = ()
    warnings: Sequence[str] = ()


def banner(facts: Facts) -> str:
    """The text, without colours and without the password."""
    scheme = "https" if facts.secure else "http"
    urls = [f"{scheme}://{Address(host, facts.api.port)}" for host in _hosts(facts.api.host)]
    drives = sum(size for size, _ in facts.sets)
    lines = [
        f"sos {facts.version}, S3-compatible object store",
        f"API:      {'  '.join(urls)}",
        f"Console:  not in this release ({facts.console} is kept for it)",
        f"RootUser: {facts.user}",
        f"Drives:   {drives - len(facts.offline)} online, {len(facts.offline)} offline; {_sets(facts)}",
        f"Workers:  {facts.workers}",
    ]
    lines += [f"OFFLINE:  {path}" for path in facts.offline]
    lines += [f"WARNING:  {warning}" for warning in facts.warnings]
    lines.append(f"Try:      mc alias set sos {urls[0]} {facts.user} PASSWORD")
    return "\n".join(lines)


def _sets(facts: Facts) -> str:
    shapes = sorted(set(facts.sets))
    texts = [f"{sum(1 for s in facts.sets if s == shape)} of {shape[0]} (EC:{shape[1]})" for shape in shapes]
    pools = f" in {facts.pools} pools" if facts.pools > 1 else ""
    return f"sets: {', '.join(texts)}{pools}"


def _hosts(host: str) -> list[str]:
    """Names under which clients reach the address."""
    if host and host not in ("0.0.0.0", "::"):
        return [host]
    # no packet is sent: the kernel only says which address it would use
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            outside = str(probe.getsockname()[0])
        except OSError:
            return ["127.0.0.1"]
    return [outside, "127.0.0.1"] if not is_loopback(outside) else ["127.0.0.1"]
