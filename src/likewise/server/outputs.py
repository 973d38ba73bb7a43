"""What is answered of pictures alone, as OpenAPI describes it: embeddings, what they show, and groups of them."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from likewise.server.answers import Error, Skipped, example
from likewise.server.jobs import State


class Embedding(BaseModel):
    """What the model made of a picture, or of one thing found in it."""

    file: str
    box: list[int] | None = Field(description="Left, top, width, height in pixels; null for all of the picture.")
    embedding: list[float]


class Encoded(BaseModel):
    """Embeddings, comparable with those of the same fingerprint only."""

    model_config = example(
        fingerprint="5e884898...", dim=2, items=[{"file": "a.jpg", "box": None, "embedding": [0.6, 0.8]}], skipped=[]
    )
    fingerprint: str
    dim: int
    items: list[Embedding]
    skipped: list[Skipped]


class Said(BaseModel):
    """What a model says of one picture."""

    file: str
    label: str = Field(description='The class; several with + between them, or "none"; numbers as "name value".')
    probability: float | None = Field(description="Of `label`; null for numbers.")
    labels: list[str] = Field(description="The classes that hold.")
    values: dict[str, float] = Field(description="The most probable classes, as many as `top`; or all numbers.")
    between: dict[str, list[float]] | None = Field(
        None, description="Of numbers, the ends between which 90% lie; missing where it is not known."
    )


class Classified(BaseModel):
    """What pictures show."""

    model_config = example(
        fingerprint="5e884898...", head="binary",
        files=[
            {
                "file": "sky.jpg", "label": "night", "probability": 0.97, "labels": ["night"],
                "values": {"night": 0.97, "day": 0.03},
            }
        ],
        skipped=[],
    )  # fmt: skip
    fingerprint: str
    head: Literal["binary", "multiclass", "multilabel", "regression"]
    files: list[Said]
    skipped: list[Skipped]


class FoundBox(BaseModel):
    """One thing that was found, in pixels of the upright picture, inside it."""

    x: float = Field(description="Left.")
    y: float = Field(description="Top.")
    width: float
    height: float
    label: str
    score: float = Field(description="How sure it is, from 0 to 1; no probability.")


class Looked(BaseModel):
    """What is where in one picture."""

    file: str
    boxes: list[FoundBox] = Field(description="The surest first.")


class Detected(BaseModel):
    """What is where in pictures."""

    model_config = example(
        fingerprint="5e884898...", threshold=0.31,
        files=[
            {
                "file": "garden.jpg",
                "boxes": [
                    {"x": 101.5, "y": 87.2, "width": 240.0, "height": 198.3, "label": "raccoon", "score": 0.87}
                ],
            }
        ],
        skipped=[],
    )  # fmt: skip
    fingerprint: str
    threshold: float = Field(description="The least score of a box.")
    files: list[Looked]
    skipped: list[Skipped]


class Item(BaseModel):
    """A picture, or one thing found in it."""

    file: str
    box: list[int] | None = Field(description="Left, top, width, height in pixels; null for all of the picture.")
    flaw: str | None = Field(description="Why it is too poor to draw others, and joins only what it is clearly near.")


class Cluster(BaseModel):
    """What belongs together."""

    id: int
    items: list[Item]


class Clustered(BaseModel):
    """What clustering found."""

    clusters: list[Cluster]
    unassigned: list[Item]
    skipped: list[Skipped]
    method: str
    threshold: float | None


class Job(BaseModel):
    """Work in the background."""

    model_config = example(
        id="1b4f0e9851971998e732078544c96b36", state="running", done=160, total=1000, text="encoding", answer=None,
        error=None,
    )  # fmt: skip
    id: str
    state: State
    done: int = Field(description="Of `total`, in the present stage.")
    total: int
    text: str = Field(description="The present stage.")
    answer: Clustered | None
    error: Error | None
