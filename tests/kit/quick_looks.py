"""``sos`` whose background work looks more often, since a test should not wait for it, and with parts of any size."""

from __future__ import annotations

import sys

from sos.cli.main import main
from sos.services import multipart
from sos.worker import jobs

if __name__ == "__main__":
    jobs.LOOK_S = 0.5
    multipart.PART_BYTES_MIN = 1
    sys.exit(main())
