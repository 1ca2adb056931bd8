"""Why no temporary credentials are given. Each class is mapped once to its code, in ``sos/s3/sts_documents.py``."""

from __future__ import annotations

from ...domain.policy.evaluate import Verdict
from .principal import Principal


class StsRefused(Exception):
    """Base. The message is shown to the client; empty stands for the standard text of the code."""


class NotAllowed(StsRefused):
    """Whoever asks may not have them."""


class Denied(NotAllowed):
    """A policy says so.

    :param who: who asks, or as whom the credentials would act
    """

    def __init__(self, message: str, who: Principal, verdict: Verdict) -> None:
        super().__init__(message)
        self.who = who
        self.verdict = verdict


class MissingParameter(StsRefused): ...


class InvalidParameter(StsRefused):
    """A value that cannot be used, tokens that prove nothing included."""


class ExpiredToken(StsRefused):
    """The provider's token has been good, but is not any more."""


class InsecureConnection(StsRefused):
    """A client certificate needs TLS."""


class BadCertificate(StsRefused): ...


class Disabled(StsRefused):
    """The way of proving an identity is not configured."""


class LimitReached(StsRefused):
    """Whoever asks has as many living ones as one may have."""


class UpstreamFailed(StsRefused):
    """The service that decides said no, or nothing that can be understood."""
