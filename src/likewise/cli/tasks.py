"""Commands for models of several tasks: which options go with which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet


def foreign_to(task: str, options_of: Mapping[str, AbstractSet[str]]) -> frozenset[str]:
    """Parameters of other tasks that `task` has not; those that no task claims go with all.

    Args:
        task: a key of `options_of`.
        options_of: names of parameters by the tasks that have them.
    """
    return frozenset().union(*options_of.values()) - options_of[task]


def check_given(context: typer.Context, foreign: AbstractSet[str], task: str) -> None:
    """Refuses options of another task.

    Args:
        context: of the command.
        foreign: names of its parameters that are not for `task`.
        task: a key of `likewise.matching.TASKS`.

    Raises:
        UsageError: one was given on the command line.
        KeyError: the command has no such parameter.
    """
    options = {parameter.name: parameter.opts[0] for parameter in context.command.params}
    names = {name: options[name] for name in sorted(foreign)}
    sources = {option: context.get_parameter_source(name) for name, option in names.items()}
    given = [option for option, source in sources.items() if source and source.name == "COMMANDLINE"]
    if given:
        from likewise.errors import UsageError
        from likewise.matching import TASKS

        raise UsageError(f"A model for {TASKS[task]} has no {', '.join(given)}", None, "Leave it out.")


def check_trained(model: str, *tasks: str) -> None:
    """Refuses a model known by name, all of which encode, where one that was trained for a task is asked for.

    Args:
        model: a folder, which its loader looks at, or a name.
        tasks: keys of `likewise.matching.TASKS`.

    Raises:
        ModelError: it is a name.
    """
    from likewise.errors import ModelError
    from likewise.matching import EMBED, TASKS, is_registered

    if is_registered(model):
        raise ModelError(
            f"This takes a model for {' or '.join(TASKS[task] for task in tasks)}",
            f"{model!r}, one for {TASKS[EMBED]}",
            f"Make one with `likewise train DATA --task {' or --task '.join(tasks)}`.",
        )  # fmt: skip
