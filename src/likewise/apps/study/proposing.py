"""What Optuna proposes to try next, given what was tried."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from likewise.apps.study.space import Space
from likewise.apps.study.study import Run
from likewise.errors import UsageError
from likewise.training import FitOptions

if TYPE_CHECKING:
    import optuna

FINISHED = "finished"  # a run that was trained to the end
UNPRUNED = 4  # runs, before one is compared with the others
AT_RANDOM = 8  # runs, before what they gave is learned from


def proposed(space: Space, runs: Sequence[Run], base: FitOptions, *, less: bool) -> optuna.Trial:
    """A trial of a study of Optuna's that knows of all runs; the same runs make for the same proposal.

    Args:
        space: of options.
        runs: done, with "curve", "ended" and "validation" among their figures.
        base: whose seed proposals are made by, and whose epochs a run has.
        less: whether a smaller validation figure is better.
    """
    optuna = optuna_package()
    study = optuna.create_study(
        direction="minimize" if less else "maximize",
        sampler=optuna.samplers.TPESampler(seed=base.seed + len(runs), n_startup_trials=AT_RANDOM),
        # While the learning rate is at its height, the figures of those that have a high one say little.
        pruner=optuna.pruners.MedianPruner(UNPRUNED, n_warmup_steps=(base.epochs or 1) // 2),
    )
    states = optuna.trial.TrialState
    for run in runs:
        given, distributions = space.as_asked(run.settings)
        curve, whole = run.figures["curve"], run.figures["ended"] == FINISHED
        state = states.COMPLETE if whole else states.PRUNED if curve else states.FAIL
        study.add_trial(
            optuna.trial.create_trial(
                state=state, params=given, distributions=distributions,
                value=run.figures["validation"] if curve else None,
                intermediate_values=dict(enumerate(curve, start=1)),
            )
        )  # fmt: skip
    return study.ask()


def optuna_package() -> Any:
    """The package, told to be quiet.

    Raises:
        UsageError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise UsageError(
            "study tune needs the package optuna", f"no {error.name}", 'Install it: pip install "likewise[tune]".'
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
