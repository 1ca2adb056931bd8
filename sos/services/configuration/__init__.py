"""What can be configured while the server runs: read in every worker, changed through the admin API, kept in set 0."""

from .checks import Check
from .configuration import Configuration

__all__ = ["Check", "Configuration"]
