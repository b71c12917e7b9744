"""What lies beyond one machine, as a page: ``python -m bench.scale``."""

from __future__ import annotations

import tyro

from bench.scale.scenario import Scenario
from cookie.errors import UserError, run_main


def render(scenario: Scenario) -> str:
    """Return the page on ``scenario``.

    Raises:
        UserError: a size or a share makes no sense.
    """
    check(scenario)
    from bench.scale.page import page
    from bench.scale.plan import plan

    return page(plan(scenario))


def check(scenario: Scenario) -> None:
    """Raise :class:`UserError` where a number of ``scenario`` makes no sense."""
    for name in ("utilization", "bandwidth", "memory"):
        if not 0 < getattr(scenario, name) <= 1:
            raise UserError(f"--{name} {getattr(scenario, name)} is no share above 0, up to 1.")
    sizes = ("pairs", "gallery", "tokens", "image_bytes", "caption_bytes", "code_bytes")
    least = {"gallery": 1000, "tokens": 2}
    for name in sizes:
        if getattr(scenario, name) < least.get(name, 1):
            raise UserError(f"--{name.replace('_', '-')} must be at least {least.get(name, 1)}.")
    if not scenario.epochs or min(scenario.epochs) < 1:
        raise UserError("--epochs takes one or more numbers above 0.")


def main() -> None:
    """Command line entry."""
    from bench.records import write_text

    scenario = tyro.cli(Scenario, prog="python -m bench.scale")
    write_text(scenario.output, render(scenario))
    print(scenario.output)


if __name__ == "__main__":
    run_main(main)
