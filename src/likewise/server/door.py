"""What every request passes on its way in and out, before anything of it is parsed.

In: whether there is such a place, the token and its scope, how often it asks, what kind of body comes and how large it
is. Out: the audit log and the metrics. The application sees only requests that a rule lets in, so a stranger costs a
hash and not an upload, and nothing is answered that is not logged.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, final

from likewise.errors import DataError, LikewiseError, StoreError, UsageError
from likewise.media.files import finite
from likewise.server.audit import Audit
from likewise.server.jobs import fault
from likewise.server.limits import Limits
from likewise.server.metrics import Metrics
from likewise.server.pace import Rates
from likewise.server.refusals import Refusal, busy, described, refusal_of
from likewise.server.tokens import Token, Tokens

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

PICTURES, JSON, NOTHING = "multipart/form-data", "application/json", ""
JOBS = "/v1/jobs/{id}"
_JOB = re.compile(r"/v1/jobs/[0-9a-f]{1,64}")
_BODIES = 8  # times the limit of one request: the bytes of all that are being worked on
_JSON_BYTES = 64 << 10  # of a body that is parsed at once, while all others wait

ANYBODY = Token("", "anybody", ("admin",), math.inf, math.inf, "")  # who asks where no tokens are wanted

_log = logging.getLogger("likewise.server")


@final
@dataclass(frozen=True)
class Rule:
    """What a request to one place needs.

    Attributes:
        scope: of its token; None where it needs none.
        takes: the type of its body.
        logged: whether it is for the audit log.
    """

    scope: str | None
    takes: str = NOTHING
    logged: bool = True

    def most(self, limits: Limits) -> int:
        """Bytes that its body may have."""
        return {PICTURES: limits.request_bytes, JSON: _JSON_BYTES, NOTHING: 0}[self.takes]


# Method and path -> what is needed; there is nothing else. Reading metrics takes any token: they name nobody.
RULES: dict[tuple[str, str], Rule] = {
    ("POST", "/v1/verify"): Rule("verify", PICTURES),
    ("POST", "/v1/verify/name"): Rule("verify", PICTURES),
    ("POST", "/v1/identify"): Rule("identify", PICTURES),
    ("POST", "/v1/classify"): Rule("classify", PICTURES),
    ("POST", "/v1/detect"): Rule("detect", PICTURES),
    ("POST", "/v1/enrol"): Rule("enrol", PICTURES),
    ("POST", "/v1/forget"): Rule("forget", JSON),
    ("GET", "/v1/names"): Rule("admin"),
    ("POST", "/v1/records"): Rule("admin", JSON),
    ("POST", "/v1/encode"): Rule("admin", PICTURES),
    ("POST", "/v1/cluster"): Rule("admin", PICTURES),
    ("GET", JOBS): Rule("admin", logged=False),
    ("DELETE", JOBS): Rule("admin"),
    ("GET", "/metrics"): Rule("any", logged=False),
    ("GET", "/health"): Rule(None, logged=False),
    ("GET", "/openapi.json"): Rule(None, logged=False),
}


@final
@dataclass
class Visit:
    """One request on its way; handlers find it as `scope["visit"]`.

    Attributes:
        token: who asks; None until that is known.
        noted: what the audit log is to say of it.
    """

    token: Token | None = None
    noted: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def sees_names(self) -> bool:
        """Whether the token may list names."""
        return self.token is not None and self.token.may("admin")


@final
@dataclass
class _Held:
    """What a request takes up until it is answered."""

    requests: int = 0
    bytes: int = 0


@final
class Door:
    """An ASGI application around another one.

    Args:
        app: parses and answers; only sees requests that may pass.
        tokens: who may; None lets everybody do everything.
        audit: is told of every request with a good token.
        metrics: are told of every answer.
        limits: of what comes in.
    """

    def __init__(self, app: App, tokens: Tokens | None, audit: Audit, metrics: Metrics, limits: Limits) -> None:
        self._app, self._tokens, self._audit, self._metrics, self._limits = app, tokens, audit, metrics, limits
        self._rates = Rates()
        self._requests = self._bytes = 0  # that are here

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        path: str = scope["path"]
        place = JOBS if _JOB.fullmatch(path) else path
        rule, visit = RULES.get((scope["method"], place)), Visit()
        scope["visit"] = visit
        messages = _nothing_there(scope["method"], place)
        if rule is not None:
            messages = await self._answer(scope, receive, rule, visit)
        status: int = messages[0]["status"]
        what = f"{scope['method']} {place}" if rule else "other"
        if rule is not None and rule.logged and visit.token is not None:
            try:
                self._audit.write(visit.token, what, status, visit.noted)
            except LikewiseError as error:
                messages = _refused(refusal_of(error))
                status = messages[0]["status"]
        self._metrics.answered(what, status, time.perf_counter() - began)
        messages[0]["headers"] = [*messages[0]["headers"], (b"cache-control", b"no-store")]
        for message in messages:
            await send(message)

    async def _answer(
        self, scope: MutableMapping[str, Any], receive: Receive, rule: Rule, visit: Visit
    ) -> list[Message]:
        """What is to be sent."""
        said: list[Message] = []

        async def keep(message: Message) -> None:
            said.append(message)

        held = _Held()
        try:
            self._admit(scope, rule, visit)
            if rule.scope is not None:  # strangers do not fill the places of others
                self._take_place(held)
            body = await self._body(receive, rule, held) if rule.takes else b""
            await self._app(scope, _one_body(body), keep)
            return said
        except Refusal as refusal:
            return _refused(refusal)
        except TimeoutError:
            error = DataError(f"A request arrives within {self._limits.body_seconds:g} s", "a part of one")
            return _refused(Refusal(408, error))
        except Exception as error:  # a fault of ours; the client learns that it is one, and the log which
            _log.exception("fault in %s %s", scope["method"], scope["path"].encode("unicode_escape").decode())
            return _refused(Refusal(500, fault(error)))
        finally:
            self._requests -= held.requests
            self._bytes -= held.bytes

    def _admit(self, scope: MutableMapping[str, Any], rule: Rule, visit: Visit) -> None:
        """Raises Refusal for what can be told from the headers."""
        headers = {name.lower(): value for name, value in scope["headers"]}
        if rule.scope is not None:
            token = visit.token = ANYBODY if self._tokens is None else self._holder(headers, self._tokens)
            if rule.scope != "any" and not token.may(rule.scope):
                error = UsageError(
                    f"This takes a token with the scope {rule.scope!r}",
                    ", ".join(token.scopes),
                    "Make one with `likewise tokens make`.",
                )
                raise Refusal(403, error)
            if token is not ANYBODY:
                self._rates.take(token)
        if not rule.takes:
            return
        kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower().decode("latin-1")
        if kind != rule.takes:
            error = UsageError("The body of this request is " + rule.takes, ascii(kind[:100]) if kind else "none")
            raise Refusal(415, error)
        if query := scope["query_string"].decode("latin-1"):
            asked = ascii("?" + query[:100])
            raise Refusal(400, UsageError("What is asked is in the body", asked, "Send it as a field."))
        length = headers.get(b"content-length", b"0")
        self._check_size(int(length) if length.isdigit() else 0, rule)

    def _take_place(self, held: _Held) -> None:
        if self._requests >= self._limits.queue:
            raise busy(f"a request more than the {self._limits.queue} it works on")
        self._requests += 1
        held.requests = 1

    async def _body(self, receive: Receive, rule: Rule, held: _Held) -> bytes:
        """All of it, if it comes in time and is not too large."""
        body = bytearray()
        async with asyncio.timeout(self._limits.body_seconds):
            while more := await receive():
                if more["type"] == "http.disconnect":
                    raise Refusal(400, DataError("A request arrives as a whole", "a part of one"))
                chunk = more.get("body", b"")
                held.bytes += len(chunk)
                self._bytes += len(chunk)
                body += chunk
                self._check_size(len(body), rule)
                if not more.get("more_body"):
                    break
        return bytes(body)

    def _holder(self, headers: dict[bytes, bytes], tokens: Tokens) -> Token:
        kind, _, presented = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        try:
            return tokens.holder(presented.strip() if kind.lower() == "bearer" else None)
        except StoreError as error:
            raise refusal_of(error) from None
        except DataError as error:
            raise Refusal(401, error) from None

    def _check_size(self, size: int, rule: Rule) -> None:
        limit, all_of_them = rule.most(self._limits), _BODIES * self._limits.request_bytes
        if size > limit:
            raise Refusal(413, DataError(f"This request has at most {limit:,} bytes", f"{size:,} or more"))
        if self._bytes + size > all_of_them:
            raise busy(f"more than {all_of_them:,} bytes at a time")


def _nothing_there(method: str, place: str) -> list[Message]:
    """What is said of a request for which there is no rule."""
    allowed = ", ".join(sorted(known for known, path in RULES if path == place))
    if allowed:
        error = UsageError(f"This place takes {allowed}", ascii(method[:20]), "See /openapi.json.")
        return answer(405, described(error), {"Allow": allowed})
    return answer(404, described(UsageError("There is such a place", ascii(place[:100]), "See /openapi.json.")))


def _refused(refusal: Refusal) -> list[Message]:
    return answer(refusal.status, described(refusal.error), refusal.headers)


def answer(status: int, values: dict[str, Any], headers: dict[str, str] | None = None) -> list[Message]:
    """A JSON document as ASGI sends it."""
    body = json_bytes(values)
    listed = {"content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    encoded = [(name.lower().encode(), value.encode()) for name, value in listed.items()]
    return [
        {"type": "http.response.start", "status": status, "headers": encoded},
        {"type": "http.response.body", "body": body},
    ]


def json_bytes(values: dict[str, Any]) -> bytes:
    """As JSON, with null for NaN and infinity, which it does not have."""
    try:
        return json.dumps(values, allow_nan=False).encode()
    except ValueError:
        return json.dumps(finite(values)).encode()


def _one_body(body: bytes) -> Receive:
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
