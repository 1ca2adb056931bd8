"""How many drives of a set hold parity: the default by size, and the ``EC:n`` of storage classes."""

from __future__ import annotations

from typing import NamedTuple

STANDARD = "STANDARD"
REDUCED_REDUNDANCY = "REDUCED_REDUNDANCY"


class ParityError(ValueError):
    """A storage class that the set cannot have; the text is for the operator."""


class Parities(NamedTuple):
    """Parity drives by storage class."""

    standard: int
    reduced: int

    def of(self, storage_class: str) -> int:
        return self.reduced if storage_class == REDUCED_REDUNDANCY else self.standard


def default_parity(drives: int) -> int:
    """MinIO's table for STANDARD, by drives in the set (1 to 16)."""
    if not 1 <= drives <= 16:
        raise ParityError(f"a set has 1 to 16 drives, not {drives}")
    if drives == 1:
        return 0
    if drives <= 3:
        return 1
    if drives <= 5:
        return 2
    return 3 if drives <= 7 else 4


def parse_class(text: str) -> int | None:
    """The parity of ``EC:n``; None for an empty text.

    :raises ParityError: another form
    """
    if not text:
        return None
    scheme, colon, number = text.strip().partition(":")
    if scheme.upper() != "EC" or not colon or not (number.isascii() and number.isdigit()):
        raise ParityError(f"storage class {text!r}: write EC:n, for example EC:2")
    return int(number)


def parities(drives: int, standard: str = "", reduced: str = "") -> Parities:
    """The parities of a set of ``drives``, from the texts of the two storage classes (empty for the default).

    :raises ParityError: more parity than half the drives, or RRS above STANDARD
    """
    chosen, chosen_reduced = parse_class(standard), parse_class(reduced)
    main = default_parity(drives) if chosen is None else _checked(STANDARD, chosen, drives)
    if chosen_reduced is not None:
        low = _checked("RRS", chosen_reduced, drives)
    else:
        low = min(1, main) if chosen is None or main else min(1, drives // 2)
    if main and low > main:
        raise ParityError(f"storage class RRS EC:{low} must not have more parity than STANDARD EC:{main}")
    return Parities(main, low)


def with_drives_gone(k: int, m: int, alive: int) -> tuple[int, int]:
    """How a new object is split while only ``alive`` of the ``k + m`` drives take it: (data, parity).

    As many further drives as its class promises may go, as far as half of the drives hold parity (MinIO raises the
    parity of new objects alike), and one at least.
    """
    drives = k + m
    gone = drives - alive
    if gone <= 0 or not m:
        return k, m
    data = max(1, min(max(k - gone, drives - drives // 2), alive - 1))
    return min(k, data), drives - min(k, data)


def _checked(name: str, parity: int, drives: int) -> int:
    if parity > drives // 2:
        raise ParityError(
            f"storage class {name} EC:{parity}: a set of {drives} drive{'s' if drives > 1 else ''} takes at most "
            f"EC:{drives // 2}"
        )
    return parity
