"""The routes. Names are never part of an address: proxies write addresses into logs, which cannot forget."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

from fastapi import FastAPI, File, Form, Path, Request, Response, Security, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

from likewise.apps.cluster import ClusterOptions
from likewise.errors import DataError, LikewiseError, UsageError
from likewise.server import answers, discreet
from likewise.server.audit import Audit
from likewise.server.door import PICTURES, RULES, Door, Visit, json_bytes
from likewise.server.metrics import Metrics
from likewise.server.refusals import Refusal, refusal_of
from likewise.server.service import Service, Upload
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
        summary="Are these the same, who is this, and what does it show?",
        version="1",
        lifespan=life,
        docs_url=None,  # these pages load programs from elsewhere
        redoc_url=None,
        openapi_url="/openapi.json",
    )
    app.router.route_class = _Route
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
        with _uploads(request, service, [a, b]) as (first, second):
            verdict = service.verify(first, second, fmr)
        _note(request, same=verdict.same, distance=verdict.distance, threshold=verdict.threshold, model=service)
        return _json(verdict.as_dict())

    @app.post("/v1/verify/name", **_about(answers.SameName, "Are pictures of who they are said to be?"))
    def verify_name(request: Request, file: Pictures, name: Name, fmr: Fmr = None) -> Response:
        _note(request, name=name[:_NOTED])
        with _uploads(request, service, file) as uploads, discreet.hints_withheld(_sees_names(request)):
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
        with _uploads(request, service, files) as uploads:
            found = service.identify(uploads, k, rule)
        probes = [
            {"name": one.decision.name, "decision": one.decision.outcome, "distance": one.decision.distance}
            for one in found
        ]
        _note(request, probes=probes, threshold=found.lines.strict, model=service)
        return _json((found if _sees_names(request) else discreet.decided_only(found)).as_dict())

    @app.post("/v1/classify", **_about(answers.Classified, "What do pictures show?"))
    def classify(
        request: Request,
        files: Pictures,
        top: Annotated[int, Form(description="How many classes to show for each; all numbers are.")] = 3,
    ) -> Response:
        with _uploads(request, service, files) as uploads:
            said, found = service.classify(uploads, top)
        _note(request, said=[{"label": one.label, "probability": one.probability} for one in said], model=service)
        return _json(found)

    @app.post("/v1/encode", **_about(answers.Encoded, "The embeddings of pictures."))
    def encode(request: Request, files: Pictures) -> Response:
        with _uploads(request, service, files) as uploads:
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
        with _uploads(request, service, files) as uploads, discreet.hints_withheld(_sees_names(request)):
            done = service.enrol(name, uploads, _object(metadata), keep_originals)
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
    @app.post("/v1/cluster", status_code=202, **_about(answers.Job, "Group pictures, in the background.", 202))
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
        uploads = _read(service, files, service.limits.cluster_files)
        job = service.cluster(uploads, ClusterOptions(method, k, smallest), fmr)
        _note(request, job=job.id, items=len(uploads), model=service)
        return _json(job.as_dict(), 202)

    @app.get("/v1/jobs/{id}", **_about(answers.Job, "How far a job is, and what it found.", missing=True))
    def job(id: JobId) -> Response:
        return _json(service.jobs.get(id).as_dict())

    @app.delete("/v1/jobs/{id}", **_about(answers.Job, "End a job, and drop what it found.", missing=True))
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


class _Uploaded(Request):
    """A request whose pictures stay in memory, where the door has let them in; by default large ones go to a disk."""

    async def form(self, **_: Any) -> FormData:  # pyright: ignore[reportIncompatibleMethodOverride]  # only awaited
        if self._form is None:
            parser = MultiPartParser(self.headers, self.stream())
            parser.spool_max_size = sys.maxsize
            try:
                self._form = await parser.parse()
            except MultiPartException as error:
                raise HTTPException(400, error.message) from error
        return self._form


class _Route(APIRoute):
    """Refuses fields that it does not know: an option that is misspelt would be left out in silence."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle, known = super().get_route_handler(), {field.alias for field in self.dependant.body_params}
        rule = RULES.get(("POST", self.path))
        if rule is None or rule.takes != PICTURES:
            return handle

        async def handle_known(request: Request) -> Response:
            request = _Uploaded(request.scope, request.receive)
            unknown = sorted(set(await request.form()) - known)
            if unknown:
                rule = f"The fields of this request are {', '.join(sorted(known))}"
                raise Refusal(422, UsageError(rule, ascii(unknown[0][:100]), "Leave it out."))
            return await handle(request)

        return handle_known


def _sees_names(request: Request) -> bool:
    visit: Visit = request.scope["visit"]
    return visit.sees_names


@contextmanager
def _uploads(request: Request, service: Service, files: Sequence[UploadFile]) -> Generator[list[Upload]]:
    """Their bytes, if they are not too many, while they are worked on.

    Raises:
        Refusal: 413, too many or too large; 429, the token has too many here.
    """
    visit: Visit = request.scope["visit"]
    assert visit.token is not None  # no place takes pictures of strangers
    uploads = _read(service, files, service.limits.files)
    with service.shares.of(visit.token, len(uploads)):
        yield uploads


def _read(service: Service, files: Sequence[UploadFile], most: int) -> list[Upload]:
    limits = service.limits
    if len(files) > most:
        raise Refusal(413, DataError(f"A request has at most {most} pictures", len(files), "Send several requests."))
    found: list[Upload] = []
    for file in files:
        name = PurePosixPath((file.filename or "").replace("\\", "/")).name[:200] or "picture"
        content = file.file.read(limits.picture_bytes + 1)
        if len(content) > limits.picture_bytes:
            error = DataError(
                f"A picture has at most {limits.picture_bytes:,} bytes", f"{name} with more", "Make it smaller."
            )
            raise Refusal(413, error)
        found.append(Upload(name, content))
    return found


def _object(text: str) -> dict[str, Any]:
    try:
        values: Any = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise UsageError("Metadata are a JSON object", repr(text[:100]), 'Pass for example {"door": 3}.')
    return values


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
        error = Refusal(422, _in_words(error.errors()[0]))
    if isinstance(error, HTTPException):
        error = Refusal(error.status_code, UsageError("A request is one that /openapi.json tells of", error.detail))
    assert isinstance(error, Refusal)
    return Response(json_bytes(error.as_dict()), error.status, error.headers, "application/json")


def _in_words(fault: dict[str, Any]) -> UsageError:
    """What does not fit the description of a request."""
    loc = [str(part) for part in fault["loc"][1:]]
    where, said = ".".join(loc), str(fault["msg"])
    if fault["type"] == "json_invalid":
        return UsageError("The body of this request is JSON", "something else", 'Send for example {"name": "ada"}.')
    if "Expected UploadFile" in said:
        return UsageError("A picture is sent as a file", f"{where}: a text", f"With curl: -F {loc[0]}=@door.jpg")
    if fault["type"] == "missing":
        return UsageError("A request has all fields that it needs", f"no {where or 'body'}", "See /openapi.json.")
    return UsageError("A request is one that /openapi.json tells of", f"{where or 'body'}: {said}")
