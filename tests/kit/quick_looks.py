"""``sos`` whose background work looks more often: a test should not wait for it."""

from __future__ import annotations

import sys

from sos.cli.main import main
from sos.worker import jobs

if __name__ == "__main__":
    jobs.LOOK_S = 0.5
    sys.exit(main())
