"""What is answered of names and pairs, as OpenAPI describes it: the same keys as `--json` on the command line."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(max_length=100_000)]


def example(**values: Any) -> ConfigDict:
    """For a model that takes no other keys than these."""
    return ConfigDict(json_schema_extra={"examples": [values]}, extra="forbid")


class Error(BaseModel):
    """Why a request was not carried out: one line, and its parts."""

    model_config = example(
        error="A name that is asked for is enrolled; got 'eda'. Perhaps 'ada'?",
        rule="A name that is asked for is enrolled",
        received="'eda'",
        remedy="Perhaps 'ada'?",
    )
    error: str
    rule: str
    received: str | None
    remedy: str


class Same(BaseModel):
    """Whether two pictures are the same."""

    model_config = example(
        same=True, distance=0.41, threshold=0.83, probability=0.998, fmr=0.001, fmr_high=0.0014, supported=True
    )
    same: bool
    distance: float
    threshold: float
    probability: float
    fmr: float = Field(description="Promised share of different pairs that the threshold accepts.")
    fmr_high: float = Field(description="Upper end of its 95% interval, as measured.")
    supported: bool = Field(description="Whether the calibration data were enough for the promise.")


class Frame(BaseModel):
    """What one picture says."""

    file: str
    said: Literal["same", "unsure", "different", "unfit"]
    distance: float | None
    box: list[int] | None = Field(description="Left, top, width, height in pixels; null for all of the picture.")
    problem: str | None = Field(description="Why it is unfit.")


class SameName(BaseModel):
    """Whether a picture is of who it is said to be."""

    model_config = example(
        same=True, said="same", name="ada", distance=0.41, threshold=0.83, loose=0.91, probability=0.998, fmr=0.005,
        fmr_high=0.007, supported=True, records=5,
        frames=[{"file": "door.jpg", "said": "same", "distance": 0.41, "box": None, "problem": None}],
    )  # fmt: skip
    same: bool = Field(description="Whether to let them pass.")
    said: Literal["same", "unsure", "different", "unfit"]
    name: str
    distance: float | None = Field(description="To the nearest record of the name; null where the picture is unfit.")
    threshold: float
    loose: float = Field(description="Up to here the answer is unsure.")
    probability: float | None
    fmr: float | None = Field(description="Promised share of others that pass for this name, with all its records.")
    fmr_high: float | None = Field(description="The same from the upper end of its 95% interval, as measured.")
    supported: bool = Field(description="Whether the calibration data were enough for the promise.")
    records: int
    frames: list[Frame]


class Match(BaseModel):
    """A name that came near."""

    name: str
    distance: float
    probability: float | None
    votes: int


class Probe(BaseModel):
    """One thing that was looked up."""

    file: str
    box: list[int] | None = Field(description="Left, top, width, height in pixels; null for all of the picture.")
    decision: Literal["known", "unsure", "unknown"]
    name: str | None
    matches: list[Match]
    flaw: str | None = Field(description="Why it is too poor to be called by a name.")


class Skipped(BaseModel):
    """What could not be used."""

    file: str
    reason: str


class Lines(BaseModel):
    """Where "known" and "unsure" end, and what that promises."""

    strict: float
    loose: float
    fpir: float | None
    fpir_loose: float | None
    source: Literal["gallery", "model", "published"]
    grown: float


class Found(BaseModel):
    """Who pictures are of."""

    model_config = example(
        probes=[
            {
                "file": "door.jpg",
                "box": None,
                "decision": "known",
                "name": "ada",
                "matches": [{"name": "ada", "distance": 0.41, "probability": 0.998, "votes": 5}],
                "flaw": None,
            }
        ],
        skipped=[],
        empty=[],
        lines={
            "strict": 0.6,
            "loose": 0.8,
            "fpir": 0.01,
            "fpir_loose": 0.1,
            "source": "gallery",
            "grown": 1.0,
        },
        rule="vote",
        k=5,
        records=40,
    )
    probes: list[Probe]
    skipped: list[Skipped]
    empty: list[str] = Field(description="Pictures in which nothing was found.")
    lines: Lines
    rule: Literal["vote", "mean"]
    k: int
    records: int


class Added(BaseModel):
    """A new record."""

    file: str
    id: int


class Enrolled(BaseModel):
    """What was entered."""

    model_config = example(
        name="ada", added=[{"file": "ada1.jpg", "id": 4503599627370497}], already=["ada2.jpg"], skipped=[]
    )
    name: str
    added: list[Added]
    already: list[str] = Field(description="Enrolled under this name before, and not entered twice.")
    skipped: list[Skipped]


class Forget(BaseModel):
    """A name, or the id of one record."""

    model_config = example(name="ada")
    name: Text | None = None
    id: int | None = None


class Forgotten(BaseModel):
    """Whose records were removed, and how many."""

    model_config = example(name="ada", records=5)
    name: str
    records: int


class Names(BaseModel):
    """Every name, and how many records it has."""

    model_config = example(names={"ada": 5, "grace": 3})
    names: dict[str, int]


class Whose(BaseModel):
    """A name that is enrolled."""

    model_config = example(name="ada")
    name: Text


class Record(BaseModel):
    """What is kept of one picture, but for its embedding."""

    id: int
    time: float = Field(description="Seconds since 1970 (UTC).")
    hash: str = Field(description="SHA-256 of the picture.")
    metadata: dict[str, Any]


class Records(BaseModel):
    """The records of a name."""

    model_config = example(
        name="ada", records=[{"id": 4503599627370497, "time": 1795000000.0, "hash": "9f86d081...", "metadata": {}}]
    )
    name: str
    records: list[Record]


class Health(BaseModel):
    """Whether questions can be answered."""

    model_config = example(status="ok")
    status: Literal["ok"]
