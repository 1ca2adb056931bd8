"""``sos`` that looks often whether users of a directory are still there: a test should not wait for it."""

from __future__ import annotations

import sys

from sos.cli.main import main
from sos.services.identity import ldap_refresh

if __name__ == "__main__":
    ldap_refresh.REFRESH_S = 0.2
    sys.exit(main())
