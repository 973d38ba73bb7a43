"""What to collect next: where mistakes come from, in sentences."""

from __future__ import annotations

from collections import Counter, defaultdict

from likewise.apps.mistakes.findings import Judged, Source, counted, interval
from likewise.metrics import Origin, origins
from likewise.metrics.origins import FEWEST_SAMPLES, LIKELY

NAMED = 10  # labels and groups that get a sentence
TAKEN = 3  # of what their items are taken for


def sources_of(judged: Judged) -> tuple[tuple[Source, ...], tuple[Source, ...]]:
    """How labels fare, and how groups do, those with most mistakes beyond the rate of the others first.

    Intervals over labels take groups for the sample where there are some: what one camera took goes wrong together.
    Those over groups take what lies within them: people where these are compared, else items.
    """
    data, names = judged.data, judged.data.group_names
    taken: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    doubted: Counter[tuple[str, str]] = Counter()
    for finding in judged.mistakes:
        label, said = finding.cell
        keys = [("label", label)]
        if data.groups is not None:
            keys.append(("group", names[data.groups[finding.items[0]]]))
        if judged.task != "hear":  # of a word there is nothing else to say
            for key in keys:
                taken[key][said if key[0] == "label" else f"{label} as {said}"] += 1
        if judged.doubted(finding):
            doubted.update(keys)

    def source(origin: Origin, key: tuple[str, str]) -> Source:
        of = "label" if key[0] == "label" else "group"
        return Source(of, key[1], origin, tuple(taken[key].most_common()), doubted[key])

    groups = None if data.groups is None else data.groups[judged.item]
    labels = tuple(source(o, ("label", judged.names[o.kind])) for o in origins(judged.of, judged.wrong, groups))
    if groups is None:
        return labels, ()
    within = judged.sample if judged.task == "compare" else judged.item
    return labels, tuple(source(o, ("group", names[o.kind])) for o in origins(groups, judged.wrong, within))


def advice(judged: Judged, labels: tuple[Source, ...], groups: tuple[Source, ...]) -> tuple[str, ...]:
    """What to do next, a sentence or two each, the most useful first."""
    mistakes = len(judged.mistakes)
    said: list[str] = []
    if judged.suspects:
        among = sum(map(judged.doubted, judged.mistakes))
        where = (
            f": {among:,} of {counted(mistakes, 'mistake')} may be due to them and not to the model" if among else ""
        )
        doubtful = f"{len(judged.suspects):,} suspected labels" if len(judged.suspects) > 1 else "suspected label"
        said.append(f"Look at the {doubtful} first{where}. Correct relabel.csv, train with it, and come back.")
    said += [f"{merged.said()}." for merged in judged.merged[:NAMED]]
    said += judged.hints
    if not mistakes:
        return tuple(said) or ("There is no mistake that would say what to collect.",)
    several = [*(labels if len(labels) > 1 else ()), *(groups if len(groups) > 1 else ())]
    ranked = sorted(several, key=lambda s: (not s.origin.likely, -s.origin.excess, s.of, s.name))
    worse = [source for source in ranked if source.origin.excess > 0 and source.origin.mistakes][:NAMED]
    if several and not any(source.origin.likely for source in worse):
        said.append(
            "No label and no group goes wrong more often than chance would have it: more items of every kind help, and"
            " those that follow are only where most mistakes happen to be."
        )
    said += [sentence(source, mistakes) for source in worse]
    return tuple(said)


def sentence(source: Source, mistakes: int) -> str:
    """Where a source stands among all mistakes, and whether that is more than chance."""
    origin = source.origin
    if origin.rest:
        against = f", {origin.rate.value / origin.rest:.1f} times the rate of all others"
    else:
        against = "; all others are right" if origin.rest == 0 else ""
    name = f"Group {source.name}" if source.of == "group" else source.name
    most = ", ".join(f"{said} ({many:,})" for said, many in source.taken[:TAKEN])
    taken = f" Mostly {'taken for ' if source.of == 'label' else ''}{most}." if most else ""
    doubted = f" {source.suspected:,} of them may be wrong labels." if source.suspected else ""
    what = f"items of {'group ' if source.of == 'group' else ''}{source.name}"
    if origin.likely and 2 * source.suspected >= origin.mistakes:
        verdict = f"More than chance (p = {origin.chance:.2g}), but look at its labels before collecting more."
    elif origin.likely:
        verdict = f"More than chance (p = {origin.chance:.2g}): collect more {what} next, such as those that go wrong."
    elif origin.chance < LIKELY and origin.lacking:
        few = (
            f"its items are of only {counted(origin.samples or 0, 'group')}, and those of one go wrong together"
            if source.of == "label"
            else f"there are only {origin.samples} in it that go wrong by themselves"
        )
        verdict = (
            f"One by one that would be more than chance (p = {origin.chance:.2g}), but {few}: it takes {FEWEST_SAMPLES}"
            " to tell."
        )
    elif origin.chance < LIKELY:
        verdict = (
            f"One by one that would be more than chance (p = {origin.chance:.2g}), but items that belong together go"
            " wrong together: it need not be."
        )
    else:
        verdict = f"No more than chance may give (p = {origin.chance:.2g})."
    return (
        f"{name}: {origin.mistakes:,} of {counted(mistakes, 'mistake')} ({origin.share:.0%}), with"
        f" {interval(origin.rate)} of its {counted(origin.items, 'item')} wrong{against}."
        f"{taken}{doubted} {verdict}"
    )
