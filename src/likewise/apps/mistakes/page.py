"""Mistakes as one HTML page that needs nothing else, no network above all."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files

from likewise.apps.mistakes.findings import Finding, Judged, Kind, Source, counted, interval, percent
from likewise.apps.mistakes.media import SECONDS, Looks
from likewise.evaluation.names import printable
from likewise.metrics import Estimate

SUSPECTS, MISTAKES, CELLS, OF_CELL, OF_KIND = 60, 35, 20, 7, 15  # that are shown; the tables have all
SOURCES = 30  # rows of a table
CSP = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"
Kinds = dict[Kind, tuple[str, tuple[str, ...]]]  # what findings are called, and their items
KINDS: Kinds = {
    "close pair": ("Different, yet close", ("", "")),
    "far pair": ("The same, yet far apart", ("", "")),
    "triplet": ("Hardest triplets", ("anchor", "farthest of the same", "nearest other")),
    "large deviation": ("Largest deviations", ("",)),
}
ALARMS: Kinds = {"false alarm": ("The surest", ("",))}
ROLES: dict[Kind, tuple[str, ...]] = {
    "suspected label": ("suspected", "as suggested", "as labelled"),
    "mistake": ("item", "nearest item"),
}


def page(
    judged: Judged,
    rate: Estimate | None,
    labels: Sequence[Source],
    groups: Sequence[Source],
    advice: Sequence[str],
) -> str:
    """The page: suspected labels, mistakes by what was taken for what, hard cases, where they come from, what to do.

    Everything from outside (names of people, of files) is text to a browser, and the page forbids itself every request.

    Args:
        judged: what was found.
        rate: of mistakes, with its interval; None where nothing says which answer is one.
        labels, groups: where mistakes come from.
        advice: what to do next, in sentences.
    """
    cards = _Cards(judged)
    sections = [
        ("suspected", "Suspected wrong labels", "" if judged.task == "hear" else _suspected(judged, cards)),
        ("mistakes", "Words missed" if judged.task == "hear" else "Mistakes", _mistakes(judged, cards)),
        ("alarms", "False alarms", _of_kinds(judged, cards, ALARMS)),
        ("hard", "Hard cases", _hard(judged, cards)),
        ("where", "Where mistakes come from", _where(labels, groups) if judged.mistakes else ""),
        ("unusable", "What could not be used", _skipped(judged)),
        ("next", "What to collect next", "<ol>" + "".join(f"<li>{shown(text)}</li>" for text in advice) + "</ol>"),
    ]
    held = [(anchor, title, html) for anchor, title, html in sections if html]
    links = "".join(f'<a href="#{anchor}">{title}</a>' for anchor, title, _ in held)
    body = "".join(f'<section id="{anchor}"><h2>{title}</h2>{html}</section>' for anchor, title, html in held)
    title = f"Mistakes in {shown(judged.data.origin)}"
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy"'
        f' content="{CSP}"><meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
        f"<style>{(files('likewise.apps.mistakes') / 'page.css').read_text('utf-8')}</style></head><body>"
        f"<h1>{title}</h1>{_summary(judged, rate)}<nav>{links}</nav>{cards.notes()}{body}</body></html>\n"
    )


def shown(text: str) -> str:
    """Text from outside, which may hold anything."""
    return escape(printable(text)) or "(no name)"


def _summary(judged: Judged, rate: Estimate | None) -> str:
    many, answers = len(judged.mistakes), len(judged.wrong)
    if rate is None:
        found = f"{counted(answers, 'answer')}."
    elif many:
        found = f"{many:,} of {answers:,} {judged.asked}: {interval(rate)}."
    else:
        found = f"No mistake: none of {answers:,} {judged.asked}; the true rate is at most {rate.high:.2%} (95%)."
    notes = list(judged.notes)
    trained = int(judged.trained_on.sum())
    if trained:
        notes.append(
            f"The model was trained on {trained:,} of these {counted(len(judged.data), 'item')}. A network learns wrong"
            " labels by heart too and then agrees with them, so that among those items few mistakes and few wrong"
            " labels show. What was kept aside tells more; to look at all, train with one part and look at the other,"
            " in turns."
        )
    suspected = "" if judged.task == "hear" else f" {counted(len(judged.suspects), 'label')} suspected."
    said = "".join(f'<p class="note">{shown(note)}</p>' for note in notes)
    return f"<p>{found}{suspected}</p>{said}"


def _suspected(judged: Judged, cards: _Cards) -> str:
    merged = "".join(f'<p class="note">{shown(merged.said())}.</p>' for merged in judged.merged)
    if not judged.suspects:
        return f"<p>None.</p>{merged}"
    rule = (
        "They lie further than three quartile ranges beyond the quartiles of all deviations (Tukey 1977)."
        if any(finding.kind == "large deviation" for finding in judged.hardest)
        else "As many as confident learning (Northcutt et al. 2021) estimates, the surest first. Some will be right and"
        " the model wrong: look before changing anything."
    )
    most = cards.all(judged.suspects, SUSPECTS)
    others = sum(not judged.doubted(finding) for finding in judged.mistakes)
    if others > len(judged.suspects):
        merged += (
            f'<p class="note">The model makes {others:,} mistakes that no suspected label explains, more than there are'
            " suspicions: many of these may be its own mistakes too.</p>"
        )
    beside = " Beside each, the nearest item of the label suggested and of its own." if judged.task == "compare" else ""
    return f"<p>{rule}{beside} relabel.csv has them at its top.</p>{merged}{most}"


def _mistakes(judged: Judged, cards: _Cards) -> str:
    if not judged.mistakes:
        return ""
    first = "The farthest from the threshold" if judged.task == "hear" else "The most confident"
    parts = [f"<h3>{first}</h3>{cards.all(judged.mistakes, MISTAKES)}"]
    cells = judged.cells()
    repeated = [cell for cell in cells if len(cell.findings) > 1] if len(cells) > 1 else []
    if repeated:
        parts.append("<h2>Mistakes by what was taken for what</h2>")
    for cell in repeated[:CELLS]:
        doubted = sum(map(judged.doubted, cell.findings))
        of = f"; {doubted:,} may be a wrong label's" if doubted else ""
        parts.append(f"<h3>{shown(cell.text() + of)}</h3>{cards.all(cell.findings, OF_CELL)}")
    if len(repeated) > CELLS:
        parts.append(f'<p class="faint">{len(repeated) - CELLS:,} rarer ones are in errors.json.</p>')
    return "".join(parts)


def _hard(judged: Judged, cards: _Cards) -> str:
    found = _of_kinds(judged, cards, KINDS)
    if found and judged.suspects and judged.task == "compare":
        return f"<p>Without the items whose labels are suspected, which would be in most of them.</p>{found}"
    return found


def _of_kinds(judged: Judged, cards: _Cards, kinds: Kinds) -> str:
    parts: list[str] = []
    for kind, (title, _) in kinds.items():
        found = [finding for finding in judged.hardest if finding.kind == kind]
        if found:
            parts.append(f"<h3>{title}</h3>{cards.all(found, MISTAKES if kind in ALARMS else OF_KIND)}")
    return "".join(parts)


def _where(labels: Sequence[Source], groups: Sequence[Source]) -> str:
    parts: list[str] = []
    for title, sources in (("By label", labels), ("By group", groups)):
        if len(sources) < 2:
            continue
        widest = max(source.origin.rate.value for source in sources) or 1
        names = ("", "mistakes", "of", "rate", "", "by chance", "mostly")
        head = f"<tr>{''.join(f'<th>{name}</th>' for name in names)}</tr>"
        rows = "".join(_row(source, widest) for source in sources[:SOURCES])
        more = f'<p class="faint">{len(sources) - SOURCES:,} more are in errors.json.</p>'
        parts.append(f"<h3>{title}</h3><table>{head}{rows}</table>{more if len(sources) > SOURCES else ''}")
    return "".join(parts)


def _row(source: Source, widest: float) -> str:
    origin = source.origin
    taken = ", ".join(f"{shown(said)} ({many:,})" for said, many in source.taken[:3])
    name = f"<b>{shown(source.name)}</b>" if origin.likely else shown(source.name)
    bar = f'<span class="bar" style="width:{round(120 * origin.rate.value / widest)}px"></span>'
    numbers = "".join(f'<td class="number">{text}</td>' for text in (f"{origin.mistakes:,}", f"{origin.items:,}"))
    return (
        f"<tr><td>{name}</td>{numbers}<td>{interval(origin.rate)}</td><td>{bar}</td>"
        f'<td class="number">{origin.chance:.2g}</td><td>{taken}</td></tr>'
    )


def _skipped(judged: Judged) -> str:
    return "".join(f"<p>{shown(file)}: <small>{shown(reason)}</small></p>" for file, reason in judged.skipped)


class _Cards:
    """Findings with their items to look at and to hear."""

    def __init__(self, judged: Judged) -> None:
        self._judged = judged
        self._looks = Looks(judged.how)

    def all(self, findings: Sequence[Finding], most: int) -> str:
        """The first of them, and how many more there are."""
        cards = "".join(map(self._card, findings[:most]))
        more = f'<p class="faint">{len(findings) - most:,} more are in errors.csv.</p>'
        return f'<div class="cards">{cards}</div>{more if len(findings) > most else ""}'

    def notes(self) -> str:
        """What a listener has to know."""
        said: list[str] = []
        if self._looks.shortened:
            said.append(f"Of longer sounds the first {SECONDS:g} s are played.")
        if self._looks.left_out:
            said.append(f"{counted(self._looks.left_out, 'sound')} had no room on this page.")
        return "".join(f'<p class="faint">{text}</p>' for text in said)

    def _card(self, finding: Finding) -> str:
        roles = ROLES.get(finding.kind) or (KINDS | ALARMS)[finding.kind][1]
        roles = roles if len(finding.items) > 1 else ("",)  # what stands alone needs no name
        items = "".join(self._item(item, role) for item, role in zip(finding.items, roles, strict=False))
        arrow = f"{shown(finding.label)} &rarr; {shown(finding.said)}" if finding.said else shown(finding.label)
        title = f"<b>{arrow}</b>" if len(finding.items) == 1 or finding.kind in ROLES else ""
        numbers = [
            *([f"{percent(finding.probability)}"] if finding.probability is not None else []),
            *([f"distance {finding.distance:.4g}"] if finding.distance is not None and len(finding.items) == 2 else []),
            *([f"margin {finding.distance:.4g}"] if finding.distance is not None and len(finding.items) == 3 else []),
        ]
        one = ' class="one"' if len(finding.items) == 1 else ""
        lines = [title, ", ".join(numbers), f"<small>{shown(finding.why)}</small>"]
        text = "<br>".join(line for line in lines if line)
        return f'<figure{one}><div class="items">{items}</div><figcaption>{text}</figcaption></figure>'

    def _item(self, item: int, role: str) -> str:
        data, judged = self._judged.data, self._judged
        badges: list[str] = []
        if item in judged.suspected:
            badges.append("label suspected")
        if judged.trained_on[item]:
            badges.append("trained on")
        if data.groups is not None:
            badges.append(data.group_names[data.groups[item]])
        tags = " ".join(f'<span class="badge">{shown(badge)}</span>' for badge in badges)
        head = f'<span class="role">{role}</span>' if role else ""
        look, label = self._looks.html(data.sources[item]), shown(data.names[data.labels[item]])
        return f'<div class="item">{head}{look}<b>{label}</b><small>{shown(data.files[item])}</small>{tags}</div>'
