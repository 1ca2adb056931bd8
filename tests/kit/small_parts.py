"""``sos`` with parts of any size: ten thousand of five mebibytes would fill the disk of the machine that tests."""

from __future__ import annotations

import sys

from sos.cli.main import main
from sos.services import multipart

if __name__ == "__main__":
    multipart.PART_BYTES_MIN = 1
    sys.exit(main())
