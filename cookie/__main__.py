"""The command line: ``python -m cookie train | evaluate | encode | search | data``.

Flags are generated from :mod:`cookie.commands.options` and :mod:`cookie.config`; what the commands
do is in the other modules of :mod:`cookie.commands`, imported only when there is something to do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import tyro
from tyro.conf import subcommand

from cookie.commands.options import (
    Command,
    Data,
    DataFacts,
    DataShards,
    DataShow,
    Encode,
    Evaluate,
    Search,
    Train,
)
from cookie.errors import run_main
from cookie.presets import preset


def parse(arguments: Sequence[str]) -> Command:
    """Return the command meant by ``arguments``; exits where they are wrong or ask for help.

    Raises:
        UserError: unknown preset; suggests the nearest.
    """
    settings = preset(_wanted_preset(arguments))
    commands: Any = (
        Annotated[Train, subcommand("train", default=Train(settings))]
        | Annotated[Evaluate, subcommand("evaluate")]
        | Annotated[Encode, subcommand("encode")]
        | Annotated[Search, subcommand("search")]
        | Annotated[Data, subcommand("data")]
    )
    config = (tyro.conf.FlagCreatePairsOff, tyro.conf.OmitSubcommandPrefixes)
    chosen = tyro.cli(commands, prog="python -m cookie", args=arguments, config=config)
    found: Command = chosen.command if isinstance(chosen, Data) else chosen
    return found


def run(command: Command) -> None:
    """Do what ``command`` says."""
    from cookie.commands import data, train, trained

    actions: dict[type[Any], Callable[[Any], None]] = {
        Train: train.run_train,
        Evaluate: trained.run_evaluate,
        Encode: trained.run_encode,
        Search: trained.run_search,
        DataShow: data.run_show,
        DataFacts: data.run_facts,
        DataShards: data.run_shards,
    }
    actions[type(command)](command)


def main() -> None:
    """Command line entry."""
    run_main(lambda: run(parse(sys.argv[1:])))


def _wanted_preset(arguments: Sequence[str]) -> str:
    """Return the value of ``--preset``, which decides the defaults of all other flags."""
    for flag, value in zip(arguments, [*arguments[1:], ""], strict=True):
        if flag.startswith("--preset="):
            return flag.removeprefix("--preset=")
        if flag == "--preset":
            return value
    return "tiny"


if __name__ == "__main__":
    main()
