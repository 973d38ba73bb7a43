"""The routes. Names are never part of an address: proxies write addresses into logs, which cannot forget."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, Literal

from fastapi import FastAPI, File, Form, Path, Request, Response, Security, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from likewise.apps.cluster import ClusterOptions
from likewise.apps.detect import OVERLAP
from likewise.errors import LikewiseError, UsageError
from likewise.server import answers, discreet, outputs
from likewise.server.audit import Audit
from likewise.server.door import Door, Visit, json_bytes
from likewise.server.forms import Route, in_words, object_in, read_uploads, uploads_of
from likewise.server.metrics import Metrics
from likewise.server.refusals import Refusal, refusal_of
from likewise.server.service import Service
from likewise.server.tokens import Tokens

_REASONS = {
    400: "Options that cannot be.",
    401: "No token, a wrong one, or one that has expired.",
    403: "A token without this scope.",
    404: "There is no such job, or no such place.",
    405: "Another method than the place takes.",
    408: "The request did not arrive in time.",
    409: "The model is not calibrated for this, is for another task, or is not the gallery's.",
    413: "A picture or request that is too large, or too slow to decode.",
    415: "A body of another kind.",
    422: "Data that are missing or unreadable, unknown fields, or a name that is not enrolled.",
    429: "Too often, or too much at once; `Retry-After` says when to come back.",
    503: "Too much at once, or the gallery cannot be reached; `Retry-After` says when to come back.",
}
_NOTED = 200  # characters of what may be no name, in the audit log
_FREE = HTTPBearer(auto_error=False, description="A token made by `likewise tokens make`.")  # the door looks at it
_NEEDS_TOKEN = [Security(_FREE)]

Picture = Annotated[UploadFile, File(description="A picture: JPEG, PNG, GIF, WebP, AVIF, TIFF, BMP or PPM.")]
Pictures = Annotated[list[UploadFile], File(description="Pictures.", min_length=1)]
Name = Annotated[str, Form(description="One line of text, up to 200 characters of any alphabet.", examples=["ada"])]
Fmr = Annotated[
    float | None, Form(description="Which promised rate to hold, if not the model's own.", examples=[0.001])
]
JobId = Annotated[str, Path(max_length=100)]


def make_app(service: Service, tokens: Tokens | None, audit: Audit) -> Door:
    """The service as an ASGI application.

    Args:
        service: what answers; closed when the application ends.
        tokens: who may ask; None lets everybody do everything.
        audit: told of everything.
    """
    metrics = Metrics()

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncGenerator[None]:
        from anyio.to_thread import current_default_thread_limiter

        # A thread for each request that the queue takes on, so that none waits where nobody counts.
        current_default_thread_limiter().total_tokens = service.limits.queue + 8
        yield
        service.close()

    app = FastAPI(
        title="Likewise",
        summary="Are these the same, who is this, what does it show, and what is where in it?",
        version="1",
        lifespan=life,
        docs_url=None,  # these pages load programs from elsewhere
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    app.router.route_class = Route
    app.add_exception_handler(Refusal, _refuse)
    app.add_exception_handler(LikewiseError, _refuse)
    app.add_exception_handler(HTTPException, _refuse)
    app.add_exception_handler(RequestValidationError, _refuse)
    _add_questions(app, service)
    _add_gallery(app, service)
    _add_jobs(app, service)
    _add_watching(app, service, metrics)
    return Door(app, tokens, audit, metrics, service.limits)


def _add_questions(app: FastAPI, service: Service) -> None:
    @app.post("/v1/verify", **_about(answers.Same, "Are two pictures the same?"))
    def verify(request: Request, a: Picture, b: Picture, fmr: Fmr = None) -> Response:
        with uploads_of(request, service, [a, b]) as (first, second):
            verdict = service.verify(first, second, fmr)
        _note(request, same=verdict.same, distance=verdict.distance, threshold=verdict.threshold, model=service)
        return _json(verdict.as_dict())

    @app.post("/v1/verify/name", **_about(answers.SameName, "Are pictures of who they are said to be?"))
    def verify_name(request: Request, file: Pictures, name: Name, fmr: Fmr = None) -> Response:
        _note(request, name=name[:_NOTED])
        with uploads_of(request, service, file) as uploads, discreet.hints_withheld(_sees_names(request)):
            claim = service.verify_name(uploads, name, fmr)
        _note(request, name=claim.name, same=claim.same, distance=claim.distance, threshold=claim.threshold,
              model=service)  # fmt: skip
        return _json(claim.as_dict())

    @app.post("/v1/identify", **_about(answers.Found, "Who are pictures of?"))
    def identify(
        request: Request,
        files: Pictures,
        k: Annotated[int | None, Form(description="How many of the nearest records decide.")] = None,
        rule: Annotated[Literal["vote", "mean"] | None, Form(description="How they decide.")] = None,
    ) -> Response:
        with uploads_of(request, service, files) as uploads:
            found = service.identify(uploads, k, rule)
        probes = [
            {"name": one.decision.name, "decision": one.decision.outcome, "distance": one.decision.distance}
            for one in found
        ]
        _note(request, probes=probes, threshold=found.lines.strict, model=service)
        return _json((found if _sees_names(request) else discreet.decided_only(found)).as_dict())

    @app.post("/v1/classify", **_about(outputs.Classified, "What do pictures show?"))
    def classify(
        request: Request,
        files: Pictures,
        top: Annotated[int, Form(description="How many classes to show for each; all numbers are.")] = 3,
    ) -> Response:
        with uploads_of(request, service, files) as uploads:
            found = service.classify(uploads, top)
        said = [{key: one[key] for key in ("label", "probability")} for one in found["files"]]
        _note(request, said=said, model=service)
        return _json(found)

    @app.post("/v1/detect", **_about(outputs.Detected, "What is where in pictures?"))
    def detect(
        request: Request,
        files: Pictures,
        score: Annotated[
            float | None, Form(description="Least score of a box, from 0 to 1, if not the model's own.")
        ] = None,
        overlap: Annotated[
            float, Form(description="Share of two boxes of one label, from 0 to 1, above which the surer one is kept.")
        ] = OVERLAP,
    ) -> Response:
        with uploads_of(request, service, files) as uploads:
            found = service.detect(uploads, score, overlap)
        counts = [dict(Counter(box["label"] for box in one["boxes"])) for one in found["files"]]
        _note(request, found=counts, threshold=found["threshold"], model=service)
        return _json(found)

    @app.post("/v1/encode", **_about(outputs.Encoded, "The embeddings of pictures."))
    def encode(request: Request, files: Pictures) -> Response:
        with uploads_of(request, service, files) as uploads:
            found = service.encode(uploads)
        _note(request, items=len(found["items"]), model=service)
        return _json(found)


def _add_gallery(app: FastAPI, service: Service) -> None:
    @app.post("/v1/enrol", **_about(answers.Enrolled, "Enter pictures under a name; trains nothing."))
    def enrol(
        request: Request,
        name: Name,
        files: Pictures,
        metadata: Annotated[
            str, Form(description="To remember beside each record: a JSON object.", examples=['{"door": 3}'])
        ] = "{}",
        keep_originals: Annotated[
            bool, Form(description="Keep the pictures too, so that the model can be exchanged.")
        ] = False,
    ) -> Response:
        _note(request, name=name[:_NOTED])
        with uploads_of(request, service, files) as uploads, discreet.hints_withheld(_sees_names(request)):
            done = service.enrol(name, uploads, object_in(metadata), keep_originals)
        _note(request, name=done.name, ids=[id for _, id in done.added], model=service)
        return _json((done if _sees_names(request) else discreet.unnamed(done)).as_dict())

    @app.post("/v1/forget", **_about(answers.Forgotten, "Remove a name or a record, with every byte kept of it."))
    def forget(request: Request, what: answers.Forget) -> Response:
        _note(request, name=what.name and what.name[:_NOTED], id=what.id)
        with discreet.hints_withheld(_sees_names(request)):
            done = service.forget(what.name, what.id)
        _note(request, name=done.name, records=done.records)
        return _json(done.as_dict())

    @app.get("/v1/names", **_about(answers.Names, "All names, and how many records each has."))
    def names() -> Response:
        return _json({"names": service.gallery.names()})

    @app.post("/v1/records", **_about(answers.Records, "The records of a name."))
    def records(request: Request, whose: answers.Whose) -> Response:
        _note(request, name=whose.name[:_NOTED])
        found = [one for block in service.gallery.records(whose.name) for one in block.as_dicts()]
        return _json({"name": whose.name, "records": found})


def _add_jobs(app: FastAPI, service: Service) -> None:
    @app.post("/v1/cluster", status_code=202, **_about(outputs.Job, "Group pictures, in the background.", 202))
    def cluster(
        request: Request,
        files: Pictures,
        method: Annotated[
            Literal["agglomerative", "hdbscan", "x-means", "k-means"],
            Form(description="agglomerative needs a calibrated model."),
        ] = "agglomerative",
        k: Annotated[int | None, Form(description="Clusters of k-means; most of x-means.")] = None,
        smallest: Annotated[int | None, Form(description="Pictures a cluster has at least.")] = None,
        fmr: Fmr = None,
    ) -> Response:
        uploads = read_uploads(service, files, service.limits.cluster_files)
        job = service.cluster(uploads, ClusterOptions(method, k, smallest), fmr)
        _note(request, job=job.id, items=len(uploads), model=service)
        return _json(job.as_dict(), 202)

    @app.get("/v1/jobs/{id}", **_about(outputs.Job, "How far a job is, and what it found.", missing=True))
    def job(id: JobId) -> Response:
        return _json(service.jobs.get(id).as_dict())

    @app.delete("/v1/jobs/{id}", **_about(outputs.Job, "End a job, and drop what it found.", missing=True))
    def cancel(request: Request, id: JobId) -> Response:
        _note(request, job=id)
        return _json(service.jobs.cancel(id).as_dict())


def _add_watching(app: FastAPI, service: Service, metrics: Metrics) -> None:
    @app.get("/health", summary="Can questions be answered?", responses=_responses(answers.Health, 200, (503,)))
    def health() -> Response:
        service.healthy()
        return _json({"status": "ok"})

    @app.get(
        "/metrics",
        summary="Figures for a monitor.",
        dependencies=_NEEDS_TOKEN,
        response_class=Response,
        responses={
            200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Text of Prometheus."},
            **_responses(None, 200, (401, 429, 503)),
        },
    )
    def figures() -> Response:
        return Response(metrics.text(service.figures()), media_type="text/plain; version=0.0.4; charset=utf-8")


def _about(model: type, summary: str, status: int = 200, *, missing: bool = False) -> dict[str, Any]:
    """What OpenAPI says of a route that takes a token."""
    others = tuple(code for code in _REASONS if missing or code != 404)
    return {
        "summary": summary,
        "dependencies": _NEEDS_TOKEN,
        "response_class": Response,
        "responses": _responses(model, status, others),
    }


def _responses(model: type | None, status: int, others: Sequence[int]) -> dict[int | str, dict[str, Any]]:
    good: dict[int | str, dict[str, Any]] = {} if model is None else {status: {"model": model}}
    return good | {code: {"model": answers.Error, "description": _REASONS[code]} for code in others}


def _sees_names(request: Request) -> bool:
    visit: Visit = request.scope["visit"]
    return visit.sees_names


def _note(request: Request, *, model: Service | None = None, **values: Any) -> None:
    """For the audit log."""
    visit: Visit = request.scope["visit"]
    visit.noted |= values if model is None else {**values, "model": model.fingerprint}


def _json(values: dict[str, Any], status: int = 200) -> Response:
    return Response(json_bytes(values), status, media_type="application/json")


def _refuse(request: Request, error: Exception) -> Response:
    """Any error as the one line it is on the command line."""
    if isinstance(error, LikewiseError):
        error = refusal_of(error)
    if isinstance(error, RequestValidationError):
        error = Refusal(422, in_words(error.errors()[0]))
    if isinstance(error, HTTPException):
        error = Refusal(error.status_code, UsageError("A request is one that /openapi.json tells of", error.detail))
    assert isinstance(error, Refusal)
    return Response(json_bytes(error.as_dict()), error.status, error.headers, "application/json")
