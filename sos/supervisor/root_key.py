"""The key made from the root credentials: derived once for all workers, beside the work on the drives."""

from __future__ import annotations

import threading

from ..crypto.passwords import derive
from ..services.identity.vault import salt_of


class RootKey:
    """Derives in a thread, since the drives keep the other one waiting.

    :param deployment_key: as far as it is known; of a new deployment it can still change
    """

    def __init__(self, user: str, password: str, deployment_key: bytes) -> None:
        self._credentials = (user, password)
        self._for = deployment_key
        self._derived = b""
        self._thread = threading.Thread(target=self._derive, daemon=True)
        self._thread.start()

    def _derive(self) -> None:
        self._derived = derive(*self._credentials, salt_of(self._for))

    def result(self, deployment_key: bytes) -> bytes:
        """The key for this deployment; waits for it."""
        self._thread.join()
        if deployment_key != self._for:
            self._for = deployment_key
            self._derive()
        return self._derived
