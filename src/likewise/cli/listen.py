"""likewise listen."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Protocol

import typer

from likewise.cli.console import answer, say
from likewise.cli.options import Json
from likewise.cli.tasks import check_trained

if TYPE_CHECKING:
    from collections.abc import Iterator

    from likewise.apps.triggerword import Event, EventRule, TriggerWord
    from likewise.apps.triggerword.recorder import Recorder
    from likewise.media.sounds import Samples

GATE = -60.0  # dBFS
BEFORE = 3.0  # seconds
ENDING = 0.5  # seconds of silence after a stream that ends


class Hearer(Protocol):
    """A `Listener`, or a `GalleryListener`."""

    rate: int

    @property
    def seconds(self) -> float:
        """How long the stream has been."""
        ...

    def feed(self, samples: Samples) -> list[Event]:
        """The next piece of the stream -> the events that it completes."""
        ...


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(listen)


def _check(context: typer.Context, given: list[str] | None) -> list[str]:
    """A model and a source; no model where there is a gallery, no source where there is a microphone."""
    given = given or []
    wanted = [] if context.params.get("gallery") is not None else ["MODEL"]
    wanted += [] if context.params.get("microphone") else ["FILE"]
    if len(given) < len(wanted):
        missing = " ".join(wanted[len(given) :])
        raise typer.BadParameter(f"missing {missing!r}" + (", - or --microphone" if "FILE" in missing else ""))
    if len(given) > len(wanted):
        raise typer.BadParameter(f"{' '.join(given)!r} is more than {' '.join(wanted) or 'nothing'!r}")
    return given


def listen(
    given: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL [FILE | -]",
            callback=_check,
            help="A model of `train --task triggerword`, unless there is --gallery; and a sound, however long, or - for"
            " one on standard input (a WAV, or see --raw), unless there is --microphone.",
        ),
    ] = None,
    microphone: Annotated[
        bool, typer.Option("--microphone", is_eager=True, help="Listen to a microphone until Ctrl-C.")
    ] = False,
    device: Annotated[
        str | None, typer.Option(help="Which microphone, by number or name; the machine's usual one unless said.")
    ] = None,
    raw: Annotated[
        int | None,
        typer.Option(
            metavar="RATE", help="On standard input are samples without a header: 16 bits, one channel, so many hertz."
        ),
    ] = None,
    gallery: Annotated[
        str | None,
        typer.Option(
            metavar="GALLERY",
            is_eager=True,
            help="Instead of a model: hear words enrolled here, by the gallery's threshold.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="The only word of the gallery to hear.")] = None,
    per_hour: Annotated[
        float | None, typer.Option(help="Which promise decides: at most so many false alarms per hour.")
    ] = None,
    threshold: Annotated[float | None, typer.Option(help="Of probabilities, instead of a promise.")] = None,
    gate: Annotated[
        float | None, typer.Option(metavar="DBFS", help="Nothing is computed in silence below this level.")
    ] = GATE,
    no_gate: Annotated[bool, typer.Option("--no-gate", help="Compute always.")] = False,
    save: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write what came before each event here: a pile for `synthesize --negative`."),
    ] = None,
    draw: Annotated[
        Path | None,
        typer.Option(
            metavar="PICTURE", help="Draw spectrogram and outputs of FILE, up to 2 minutes, as .png, .svg or .pdf."
        ),
    ] = None,
    before: Annotated[float, typer.Option(help="Seconds of such a clip.")] = BEFORE,
    as_json: Json = False,
) -> None:
    """Hear a word in a stream: a line, or with --json a document, each time it was said. Status 1 if it never was."""
    given = given or []
    level = None if no_gate else gate
    _check_options(gallery, name, microphone, device, raw, given, per_hour, threshold, draw)
    with ExitStack() as stack:
        if gallery is not None:
            from likewise.apps.triggerword.gallery_listener import GalleryListener
            from likewise.gallery import Gallery

            hearer: Hearer = GalleryListener(stack.enter_context(Gallery.open(gallery)), name=name, gate=level)
        else:
            from likewise.apps.triggerword import Listener, TriggerWord

            check_trained(given[0], TriggerWord.task)
            model = TriggerWord.load(given[0])
            rule = model.rule(per_hour, threshold)
            if draw is not None:
                _draw(model, rule, Path(given[1]), draw)
            hearer = Listener(model.encoder, rule, gate=level)
        blocks, called = _source(given, hearer.rate, microphone, device, raw, at_once=gallery is not None)
        recorder = _recorder(save, called, hearer.rate, before)
        count = _listen(hearer, blocks, recorder, as_json)
    if not count:
        raise typer.Exit(1)


def _listen(hearer: Hearer, blocks: Iterator[Samples], recorder: Recorder | None, as_json: bool) -> int:
    """Tells of each event as it comes; how many there were. What breaks off the stream is raised after the summary."""
    from likewise.errors import LikewiseError

    count, seconds = 0, 0.0
    try:
        for samples, real in _then_silence(blocks, round(ENDING * hearer.rate)):
            if recorder is not None:
                recorder.feed(samples)
            heard = hearer.feed(samples)
            seconds = hearer.seconds if real else seconds
            for event in heard:
                count += 1
                values: dict[str, Any] = event.as_dict()
                said = f"{event.time_s:9.2f} s  {event.score:.4f}"
                said += f"  {event.name}" if event.name is not None else ""
                if recorder is not None:
                    values["file"] = str(recorder.save(event))
                    said += f"  {values['file']}"
                if not answer(as_json, values, said):
                    return count  # nobody reads any more
    except KeyboardInterrupt:
        pass  # the usual end of listening
    except LikewiseError:
        if seconds:
            _summary(seconds, count)
        raise
    _summary(seconds, count)
    return count


def _summary(seconds: float, count: int) -> None:
    say(f"heard {seconds:.1f} s, {count} event{'s' if count != 1 else ''}")


def _then_silence(blocks: Iterator[Samples], count: int) -> Iterator[tuple[Samples, bool]]:
    """The blocks of a stream that ends, and silence: the word is known a little after it was said."""
    import numpy as np

    for block in blocks:
        yield block, True
    yield np.zeros(count, np.float32), False


def _source(
    given: list[str], rate: int, microphone: bool, device: str | None, raw: int | None, *, at_once: bool
) -> tuple[Iterator[Samples], str]:
    """What is listened to, and what to call it in the name of a file; `at_once` for large blocks of what is there."""
    from likewise.apps.triggerword import sources

    if microphone:
        return sources.from_microphone(device, rate), _now("microphone")
    if given[-1] != "-":
        seconds = sources.AT_ONCE if at_once else sources.CHUNK
        return sources.from_file(Path(given[-1]), rate, seconds=seconds), Path(given[-1]).stem
    if raw is not None:
        return sources.from_raw(sys.stdin.buffer, raw, rate), _now("stdin")
    return sources.from_file(sys.stdin.buffer, rate, name="standard input"), _now("stdin")


def _draw(model: TriggerWord, rule: EventRule, source: Path, picture: Path) -> None:
    import numpy as np

    from likewise.apps.triggerword.picture import LONGEST, check_picture, draw_heard
    from likewise.media.sounds import read_sound

    check_picture(picture)
    sound = read_sound(source, rate=model.sounds.rate, max_seconds=LONGEST - ENDING)
    silence = np.zeros(round(ENDING * model.sounds.rate), np.float32)
    say(f"drawn: {draw_heard(model, np.concatenate([sound, silence]), rule, picture, source.name)}")


def _recorder(folder: Path | None, name: str, rate: int, before: float) -> Recorder | None:
    if folder is None:
        return None
    from likewise.apps.triggerword.recorder import Recorder

    return Recorder(folder, name, rate, before)


def _now(what: str) -> str:
    """Streams have no name, but a time."""
    import time

    return f"{what}-{time.strftime('%Y%m%d-%H%M%S')}"


def _check_options(
    gallery: str | None,
    name: str | None,
    microphone: bool,
    device: str | None,
    raw: int | None,
    given: list[str],
    per_hour: float | None,
    threshold: float | None,
    draw: Path | None,
) -> None:
    from likewise.errors import UsageError

    if draw is not None and (gallery is not None or microphone or given[-1] == "-"):
        raise UsageError("A picture is of a model and a FILE", f"--draw {draw}", "Name both.")

    if gallery is None and name is not None:
        raise UsageError("A name is one of a gallery", f"--name {name}", "Add --gallery GALLERY.")
    if gallery is not None and not (per_hour is None and threshold is None):
        raise UsageError(
            "A gallery has its threshold", "--per-hour or --threshold", "Set it by `likewise gallery calibrate`."
        )
    if device is not None and not microphone:
        raise UsageError("A device is a microphone", f"--device {device}", "Add --microphone.")
    if raw is not None and (microphone or given[-1] != "-"):
        raise UsageError("Samples without a header come on standard input", f"--raw {raw}", "Name - as the FILE.")
