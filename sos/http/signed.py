"""A request whose sender is known, as surfaces beside S3 are given it: who it is, and the body that the signature covers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ..services.access import Values
from ..services.identity.principal import Principal
from .message import Reply, Request


@dataclass(frozen=True, slots=True)
class Signed:
    """The sender of a request.

    :param secret: the key that it signed with
    :param values: what the request says of itself, for conditions of policies
    :param read: the whole body of at most so many bytes, verified; raises EntityTooLarge and what reading a body raises
    """

    principal: Principal
    secret: str = field(repr=False)
    values: Values
    read: Callable[[int], Awaitable[bytes]]


Authenticate = Callable[[], Awaitable[Signed]]
"""Who sent the request. Raises AccessDenied and the other refusals of authentication."""

SignedHandler = Callable[[Request, Authenticate], Awaitable[Reply]]
"""Answers a request; asks for its sender once it knows that the call exists. Raises domain errors."""
