"""What comes with a request: pictures, kept in memory and held to the limits, and fields, of which none is unknown."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

from fastapi import Request, Response, UploadFile
from fastapi.routing import APIRoute
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser

from likewise.errors import DataError, UsageError
from likewise.server.door import PICTURES, RULES, Visit
from likewise.server.refusals import Refusal
from likewise.server.service import Service, Upload


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


class Route(APIRoute):
    """Refuses fields that it does not know: an option that is misspelt would be left out in silence."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """See `APIRoute`."""
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


@contextmanager
def uploads_of(request: Request, service: Service, files: Sequence[UploadFile]) -> Generator[list[Upload]]:
    """Their bytes, if they are not too many, while they are worked on.

    Raises:
        Refusal: 413, too many or too large; 429, the token has too many here.
    """
    visit: Visit = request.scope["visit"]
    assert visit.token is not None  # no place takes pictures of strangers
    uploads = read_uploads(service, files, service.limits.files)
    with service.shares.of(visit.token, len(uploads)):
        yield uploads


def read_uploads(service: Service, files: Sequence[UploadFile], most: int) -> list[Upload]:
    """Their bytes, if there are at most `most`.

    Raises:
        Refusal: 413, too many or too large.
    """
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


def object_in(text: str) -> dict[str, Any]:
    """Metadata from a field.

    Raises:
        UsageError: no JSON object.
    """
    try:
        values: Any = json.loads(text)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise UsageError("Metadata are a JSON object", repr(text[:100]), 'Pass for example {"door": 3}.')
    return values


def in_words(fault: dict[str, Any]) -> UsageError:
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
