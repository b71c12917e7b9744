"""How a server of requests holds out under load: queues are part of what a caller waits for.

One server takes requests first come, first served, up to ``max_batch`` waiting ones at a time.
In the *closed* loop each of a number of clients sends its next request when the last is
answered, so a slow server is never asked more than it can do. In the *open* loop requests arrive
at random, as from independent users, whether the server keeps up or not; a latency counts from
the moment a request was due.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from bench.measure.arrivals import ArrivalQueue, Clock, poisson_arrivals
from bench.measure.percentiles import percentile, summary
from bench.measure.timer import Device, synchronizer

Serve: TypeAlias = Callable[[int], object]
"""Answers a number of requests at once; what it queues on the device is waited for."""


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What the callers of one run saw.

    Attributes:
        latencies: seconds of every counted and answered request, in the order of the answers.
        seconds: from the beginning of what is counted to the last answer.
        dropped: requests turned away because ``max_in_flight`` were already inside.
        offered_rate: requests a second that arrive in the open loop, exactly so many over the
            time that is counted; None in the closed one.
        clients: of the closed loop; None in the open one.
        stopped: why the run ended before its time, if it did.
    """

    loop: Literal["open", "closed"]
    latencies: tuple[float, ...]
    seconds: float
    max_batch: int
    dropped: int = 0
    offered_rate: float | None = None
    clients: int | None = None
    stopped: str | None = None

    @property
    def served_rate(self) -> float:
        """Answers a second."""
        return len(self.latencies) / self.seconds if self.seconds > 0 else 0.0

    def percentile(self, share: float) -> float | None:
        """Return the latency at ``share``, None where the answers are too few for it."""
        return percentile(self.latencies, share)

    def to_dict(self) -> dict[str, Any]:
        """Return rates, summary and raw latencies, JSON-able."""
        return {
            "loop": self.loop,
            "offered_rate": self.offered_rate,
            "served_rate": self.served_rate,
            "clients": self.clients,
            "max_batch": self.max_batch,
            "dropped": self.dropped,
            "stopped": self.stopped,
            "seconds": self.seconds,
            "latency": summary(self.latencies),
            "latency_seconds": list(self.latencies),
        }


def closed_loop(
    serve: Serve,
    *,
    device: Device = "cpu",
    clients: int = 1,
    max_batch: int = 1,
    requests: int = 1000,
    duration_s: float = 10.0,
    clock: Clock | None = None,
) -> LoadResult:
    """Let ``clients`` ask again as soon as they are answered.

    Args:
        serve: answers a batch of waiting requests; called once before the clock starts.
        device: where it works.
        clients: requests that are inside at any time.
        max_batch: most requests answered at once.
        requests: the run ends after this many answers, or after ``duration_s`` seconds.
        duration_s: bound on the time.
        clock: instead of the machine's.
    """
    time_, answer = clock or Clock(), _answering(serve, device)
    answer(min(clients, max_batch))
    start = now = time_.now()
    waiting, latencies = deque([start] * clients), list[float]()
    while len(latencies) < requests and now - start < duration_s:
        asked = [waiting.popleft() for _ in range(min(max_batch, len(waiting)))]
        answer(len(asked))
        now = time_.now()
        latencies += [now - moment for moment in asked]
        waiting.extend([now] * len(asked))
    return LoadResult("closed", tuple(latencies), now - start, max_batch, clients=clients)


def open_loop(
    serve: Serve,
    *,
    rate: float,
    device: Device = "cpu",
    max_batch: int = 1,
    max_in_flight: int = 1000,
    requests: int = 1000,
    settling: int = 0,
    duration_s: float = 30.0,
    seed: int = 0,
    give_up: Callable[[ArrivalQueue], str | None] | None = None,
    clock: Clock | None = None,
) -> LoadResult:
    """Let requests arrive at random, ``rate`` a second, whatever the server does.

    Args:
        serve: answers a batch of waiting requests; called once before the clock starts.
        rate: arrivals a second; see :func:`poisson_arrivals`.
        device: where ``serve`` works.
        max_batch: most requests answered at once; fewer are answered when fewer wait.
        max_in_flight: arrivals that find so many waiting or being served are turned away.
        requests: arrivals that are counted, unless ``duration_s`` ends the run before.
        settling: arrivals before those, until the queue is as long as it will be.
        duration_s: bound on the time; what is then still waiting counts as turned away.
        seed: of the arrivals.
        give_up: asked now and then whether to stop early; returns the reason.
        clock: instead of the machine's.
    """
    time_, answer = clock or Clock(), _answering(serve, device)
    answer(1)
    due = poisson_arrivals(rate, requests, seed, settling)
    start, stopped = time_.now(), None
    queue = ArrivalQueue([start + moment for moment in due], max_in_flight, settling)
    while queue.pending and stopped is None:
        time_.wait_until(queue.next_due())
        batch = queue.take(time_.now(), max_batch)
        answer(len(batch))
        queue.answered(batch, time_.now())
        if time_.now() - start > duration_s and queue.pending:
            stopped = f"time was up after {duration_s:g} s"
        elif give_up is not None and queue.turn % 64 == 0:
            stopped = give_up(queue)
    queue.abandon(time_.now())
    seconds, answers = time_.now() - start - settling / rate, tuple(queue.latencies)
    return LoadResult("open", answers, seconds, max_batch, queue.dropped, rate, None, stopped)


def _answering(serve: Serve, device: Device) -> Callable[[int], None]:
    """Return ``serve`` as a function that ends when the device has."""
    synchronize = synchronizer(device)

    def answer(count: int) -> None:
        serve(count)
        synchronize()

    return answer
