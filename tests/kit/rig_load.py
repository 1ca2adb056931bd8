"""Load on a server over drives that fail: its beginning, and what must hold at its end."""

from __future__ import annotations

from .history import History
from .load import Load, Session
from .replicas import inspect
from .rig import Rig


def started(one: Rig) -> tuple[History, Session]:
    """The server with a bucket, and the history of all that follows."""
    history = History()
    one.server.start()
    session = Session(one.server, history, "first")
    session.prepare()
    one.create()
    return history, session


def finish(one: Rig, history: History, session: Session, load: Load, patience_s: float = 40.0) -> None:
    """Everything acknowledged is there, in every replica, with all its shards."""
    one.wait_whole(patience_s)
    session.close()  # the server may have been started anew
    session.read_all()
    assert load.problems == [] and session.problems == []
    history.check()
    assert one.check_shards() > 0
    inspect(one.paths)
