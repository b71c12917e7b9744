"""Clocks and devices that tests control: no test here depends on how fast the machine is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class FakeTime:
    """Time that passes only when somebody works or sleeps."""

    seconds: float = 0.0
    sleeps: int = 0

    def now(self) -> float:
        """Return seconds."""
        return self.seconds

    def nanoseconds(self) -> int:
        """Return nanoseconds, as the timer's clock does."""
        return round(self.seconds * 1e9)

    def sleep(self, duration: float) -> None:
        """Let ``duration`` seconds pass."""
        self.sleeps += 1
        self.seconds += duration

    def work(self, duration: float) -> Callable[[], None]:
        """Return work that takes ``duration`` seconds."""

        def run() -> None:
            self.seconds += duration

        return run


@dataclass
class LazyDevice:
    """An accelerator in miniature: work is queued and done when somebody waits for it."""

    time: FakeTime
    queued: list[float] = field(default_factory=list)
    synchronized: int = 0

    def launch(self, duration: float) -> None:
        """Queue work; the host goes on at once."""
        self.queued.append(duration)

    def synchronize(self) -> None:
        """Let the queued work pass."""
        self.synchronized += 1
        self.time.seconds += sum(self.queued)
        self.queued.clear()


class ThreadDevice:
    """An accelerator as a thread: work queued on it goes on while the host does something else."""

    def __init__(self) -> None:
        self._threads: list[threading.Thread] = []
        self.done = 0

    def launch(self, gate: threading.Event) -> None:
        """Queue work that ends when ``gate`` is set."""

        def work() -> None:
            gate.wait()
            self.done += 1

        thread = threading.Thread(target=work)
        self._threads.append(thread)
        thread.start()

    def synchronize(self) -> None:
        """Wait for all work."""
        for thread in self._threads:
            thread.join()
        self._threads.clear()
