"""The supervisor: starts workers, watches them, replaces them, ends them. It opens no drive and speaks no HTTP.

1. Signal handlers only enqueue; everything happens in :meth:`Supervisor.run`'s one loop.
2. Listening sockets are made before the first worker and kept until the end.
3. A death before every worker has served once stops the server with the worker's own words.
4. Before a worker is started again after a SIGBUS (or its like), or after it could not be killed, the bad ones of the
   drives that it was touching are marked for all workers.
"""

from __future__ import annotations

import faulthandler
import gc
import logging
import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from ..base.pages import PULSE_INCARNATION, PULSE_PID, PULSE_STATE, STATE_BOOTING, Pages
from ..config.values import ConfigError
from ..worker.run import Tell
from .notify import Notifier
from .processes import Child, spawn
from .pulse import beat_of, touched
from .replacement import Replacement
from .signals import SignalQueue
from .slot import Phase, Slot

log = logging.getLogger("sos.supervisor")

LOOK_S = 1.0
#: What workers may take for a reload before the manager is told that it is done.
RELOAD_S = 10.0
#: Past the workers' own limit for draining.
STOP_GRACE_S = 5.0
#: A worker that is being replaced does not stop the watchdog for this long.
WATCHDOG_BOOT_S = 60.0
#: Signals that a failing drive ends a worker with: a page that cannot be read, or one of an index that is damaged.
OF_DRIVES = frozenset((signal.SIGBUS, signal.SIGSEGV, signal.SIGABRT))


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the supervisor calls; plain functions, so that it knows nothing of drives and HTTP.

    :param worker: runs in each child: (slot, incarnation, tell) → exit code
    :param suspect: mark the bad ones of these drives, or of all where none is named; called before a respawn
    :param look: called once a second
    :param check: raises ConfigError where a reload would fail
    :param ready: called once, when all workers serve
    :param stopping: called when no new connection may be queued any more
    """

    worker: Callable[[int, int, Tell], int]
    suspect: Callable[[Sequence[int], str], None] = lambda drives, why: None
    look: Callable[[], None] = lambda: None
    check: Callable[[], object] = lambda: None
    ready: Callable[[], None] = lambda: None
    stopping: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Limits:
    """Times in seconds."""

    silence_s: float = 5.0
    drain_s: float = 30.0
    look_s: float = LOOK_S


class Supervisor:
    """Runs the workers of one server."""

    def __init__(self, workers: int, pages: Pages, hooks: Hooks, limits: Limits, notifier: Notifier) -> None:
        self._pages, self._hooks, self._limits, self._notifier = pages, hooks, limits, notifier
        self.slots = [Slot(number, limits.look_s) for number in range(workers)]
        self._poll = select.poll()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._incarnations = 0
        self._ready = False
        self._stop_at_s: float | None = None
        self._exit = 0
        self._look_at_s = 0.0
        self._watchdog_at_s = 0.0
        self._reload_until_s: float | None = None
        self._abandoned: list[Child] = []
        self._replacement = Replacement(self.slots, limits.drain_s + STOP_GRACE_S)

    # -- the loop ------------------------------------------------------------------------------------

    def run(self) -> int:
        """Serve until told to stop; the exit code of the server."""
        # what exists now is shared with every worker: keep the collector from touching (and so copying) it
        gc.collect()
        gc.freeze()
        with SignalQueue() as signals:
            self._watch(signals.fd, lambda: self._on_signals(signals.take()))
            for slot in self.slots:
                self._start(slot, time.monotonic())
            while not self._finished():
                self._turn()
        return self._exit

    def _turn(self) -> None:
        for fd, _ in self._poll.poll(self._patience_ms(time.monotonic())):
            callback = self._callbacks.get(fd)
            if callback is not None:
                callback()
        now_s = time.monotonic()
        for slot in self.slots:
            self._advance(slot, now_s)
        self._replacement.advance(now_s)
        if now_s >= self._look_at_s:
            self._look_at_s = now_s + self._limits.look_s
            self._look(now_s)
        self._feed_watchdog(now_s)
        self._end_reload(now_s)
        if self._stop_at_s is not None and now_s >= self._stop_at_s:
            self._kill_all("still running past the time for draining")

    def _finished(self) -> bool:
        return self._stop_at_s is not None and all(slot.child is None for slot in self.slots)

    def _patience_ms(self, now_s: float) -> int:
        """Until the next thing that is due without an event; a millisecond late rather than early."""
        due: list[float] = [self._look_at_s]
        due += [at for slot in self.slots if (at := slot.deadline_s()) is not None]
        due += [
            at for at in (self._stop_at_s, self._reload_until_s, self._replacement.deadline_s()) if at is not None
        ]
        if self._notifier.watchdog_s and self._ready:
            due.append(self._watchdog_at_s)
        return max(0, int((min(due) - now_s) * 1000) + 1)

    def _watch(self, fd: int, callback: Callable[[], None]) -> None:
        self._callbacks[fd] = callback
        self._poll.register(fd, select.POLLIN)

    def _unwatch(self, fd: int) -> None:
        if self._callbacks.pop(fd, None) is not None:
            self._poll.unregister(fd)

    # -- starting ------------------------------------------------------------------------------------

    def _start(self, slot: Slot, now_s: float) -> None:
        self._incarnations += 1
        self._pages.clear_pulse(slot.number)
        self._pages.set_pulse(slot.number, PULSE_INCARNATION, self._incarnations)
        self._pages.set_pulse(slot.number, PULSE_STATE, STATE_BOOTING)
        read_fd, write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        child = spawn(partial(self._in_child, slot.number, self._incarnations, write_fd))
        os.close(write_fd)
        self._pages.set_pulse(slot.number, PULSE_PID, child.pid)
        slot.booting(child, read_fd)
        slot.start_at_s = now_s
        self._watch(child.pidfd, partial(self._on_death, slot, child))
        self._watch(read_fd, partial(self._on_report, slot))

    def _in_child(self, number: int, incarnation: int, write_fd: int) -> int:
        os.environ.pop("NOTIFY_SOCKET", None)
        for fd in self._callbacks:
            os.close(fd)
        return self._hooks.worker(number, incarnation, partial(_tell, write_fd))

    def _on_report(self, slot: Slot) -> None:
        slot.hear()
        if not self._ready and all(s.phase is Phase.SERVING for s in self.slots):
            self._ready = True
            self._hooks.ready()
            self._notifier.ready(f"serving with {len(self.slots)} workers")

    # -- dying ---------------------------------------------------------------------------------------

    def _on_death(self, slot: Slot, child: Child) -> None:
        if slot.child is child:
            slot.hear()  # its last words may be in the pipe still
        pidfd = child.pidfd
        code = child.reap()
        if code is None:
            return
        self._unwatch(pidfd)
        if slot.child is not child:
            self._abandoned.remove(child)
            return
        self._bury(slot, child, code)

    def _bury(self, slot: Slot, child: Child, code: int) -> None:
        self._unwatch(slot.report_fd)
        had_served, failure = slot.had_served, slot.failure
        slot.ended()
        if self._stop_at_s is not None:
            return
        why = failure or _cause(code)
        if not self._ready:
            self._halt(f"worker {slot.number} failed to start: {why}")
            return
        if code == 0 and self._replacement.owns(slot, child):
            log.info("worker %d (pid %d) is replaced", slot.number, child.pid)
            self._start(slot, time.monotonic())
            return
        log.error("worker %d (pid %d) ended: %s", slot.number, child.pid, why)
        if -code in OF_DRIVES:
            self._hooks.suspect(touched(self._pages, slot.number), f"worker {slot.number} died of {_cause(code)}")
        self._again(slot, code, had_served, why)

    def _again(self, slot: Slot, code: int, had_served: bool, why: str) -> None:
        now_s = time.monotonic()
        delay_s = slot.history.died(now_s, code, had_served, random.random())
        if delay_s is None:
            self._halt(f"worker {slot.number} failed to start time after time: {why}")
        elif delay_s == 0:
            self._start(slot, now_s)
        else:
            slot.wait_until(now_s + delay_s)

    def _abandon(self, slot: Slot) -> None:
        """A killed process that does not end: a thread of it hangs in the kernel, most likely on a drive."""
        child = slot.child
        assert child is not None
        log.error("worker %d (pid %d) cannot be killed, going on without it", slot.number, child.pid)
        self._abandoned.append(child)
        self._unwatch(slot.report_fd)
        had_served = slot.had_served
        slot.ended()
        if self._stop_at_s is None:
            self._hooks.suspect(touched(self._pages, slot.number), f"worker {slot.number} hangs in the kernel")
            self._again(slot, -signal.SIGKILL, had_served, "hung")

    def _advance(self, slot: Slot, now_s: float) -> None:
        """What is due by time alone."""
        at_s = slot.deadline_s()
        if at_s is None or now_s < at_s:
            return
        if slot.phase is Phase.WAITING:
            self._start(slot, now_s)
        elif slot.phase is Phase.DUMPING:
            slot.kill(now_s)
        else:
            self._abandon(slot)

    # -- watching ------------------------------------------------------------------------------------

    def _look(self, now_s: float) -> None:
        self._hooks.look()
        for slot in self.slots:
            if slot.phase not in (Phase.BOOTING, Phase.SERVING) or self._stop_at_s is not None:
                continue
            if slot.is_silent(beat_of(self._pages, slot.number), now_s, self._limits.silence_s):
                log.error("worker %d stands still for %.1f s: replacing it", slot.number, slot.silence.silent_s)
                slot.dump(now_s)

    def _feed_watchdog(self, now_s: float) -> None:
        """Only while every worker's loop turns: a manager that hears us must be able to believe us."""
        if not (self._notifier.watchdog_s and self._ready) or now_s < self._watchdog_at_s:
            return
        for slot in self.slots:
            slot.silence.look(beat_of(self._pages, slot.number), now_s)
        if self._stop_at_s is not None or all(self._is_well(slot, now_s) for slot in self.slots):
            self._notifier.watchdog()
            for slot in self.slots:
                slot.silence.forget_moved()
        self._watchdog_at_s = now_s + self._notifier.watchdog_s

    def _is_well(self, slot: Slot, now_s: float) -> bool:
        if slot.phase is Phase.SERVING:
            return slot.silence.moved
        return now_s - slot.start_at_s < WATCHDOG_BOOT_S

    # -- signals -------------------------------------------------------------------------------------

    def _on_signals(self, numbers: Iterable[signal.Signals]) -> None:
        for number in numbers:
            if number in (signal.SIGTERM, signal.SIGINT):
                self._stop()
            elif number == signal.SIGHUP:
                self._reload()
            elif number == signal.SIGUSR2:
                self._restart()
            elif number == signal.SIGQUIT:
                faulthandler.dump_traceback(sys.stderr.fileno())
                self._send_all(signal.SIGQUIT)

    def _stop(self) -> None:
        if self._stop_at_s is not None:
            self._kill_all("told to stop twice")
            return
        log.info("stopping: finishing requests")
        self._notifier.stopping()
        self._replacement.end()
        self._stop_at_s = time.monotonic() + self._limits.drain_s + STOP_GRACE_S
        self._hooks.stopping()
        for slot in self.slots:
            if slot.phase is Phase.WAITING:
                slot.ended()
        self._send_all(signal.SIGTERM)

    def _restart(self) -> None:
        """Replace all workers, one by one."""
        if self._stop_at_s is None and self._ready:
            log.info("restarting: replacing the workers one by one")
            self._replacement.begin()

    def _halt(self, message: str) -> None:
        """Stop because of a failure."""
        log.critical("%s", message)
        self._exit = 1
        self._stop()

    def _kill_all(self, why: str) -> None:
        now_s = time.monotonic()
        for slot in self.slots:
            if slot.child is not None and slot.phase is not Phase.DYING:
                log.warning("worker %d killed: %s", slot.number, why)
                slot.kill(now_s)
        self._stop_at_s = now_s + STOP_GRACE_S

    def _reload(self) -> None:
        if self._stop_at_s is not None or not self._ready:
            return
        self._notifier.reloading()
        try:
            self._hooks.check()
        except (ConfigError, OSError) as error:
            log.error("reload refused, the settings stay as they were: %s", error)
            self._notifier.ready("reload refused, see the log")
            return
        self._reload_until_s = time.monotonic() + RELOAD_S
        for slot in self.slots:
            if slot.phase is Phase.SERVING and slot.child is not None:
                slot.reloaded = False
                slot.child.send(signal.SIGHUP)

    def _end_reload(self, now_s: float) -> None:
        if self._reload_until_s is None:
            return
        if all(slot.reloaded for slot in self.slots) or now_s >= self._reload_until_s:
            self._reload_until_s = None
            log.info("reloaded")
            self._notifier.ready(f"serving with {len(self.slots)} workers")

    def _send_all(self, number: signal.Signals) -> None:
        for slot in self.slots:
            if slot.child is not None:
                slot.child.send(number)


def _tell(fd: int, message: bytes) -> None:
    """In the worker: one message for the supervisor."""
    os.write(fd, message[:4096])


def _cause(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
