"""What every request passes on its way in and out, before anything of it is parsed.

In: the token and its scope, how often it asks, what kind of body comes and how large it is. Out: the audit log and the
metrics. So a stranger costs a hash and not an upload, and nothing is answered that is not logged.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any, final

from likewise.errors import DataError, LikewiseError, StoreError, UsageError
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
JOBS = "/v1/jobs/"
_BODIES = 8  # times the limit of one request: the bytes of all that are being worked on

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


# Method and path -> what is needed. Reading metrics takes any token: they name nobody.
RULES: dict[tuple[str, str], Rule] = {
    ("POST", "/v1/verify"): Rule("verify", PICTURES),
    ("POST", "/v1/verify/name"): Rule("verify", PICTURES),
    ("POST", "/v1/identify"): Rule("identify", PICTURES),
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
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        path: str = scope["path"]
        place = JOBS if path.startswith(JOBS) else path
        rule, visit = RULES.get((scope["method"], place)), Visit()
        scope["visit"] = visit
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
        self, scope: MutableMapping[str, Any], receive: Receive, rule: Rule | None, visit: Visit
    ) -> list[Message]:
        """What is to be sent."""
        said: list[Message] = []

        async def keep(message: Message) -> None:
            said.append(message)

        held = 0
        self._requests += 1
        try:
            if rule is None:  # nothing is there: the application says so, and reads no body
                await self._app(scope, _no_body, keep)
                return said
            headers = {name.lower(): value for name, value in scope["headers"]}
            self._admit(headers, rule, visit)
            body = bytearray()
            async with asyncio.timeout(self._limits.body_seconds):
                while more := await receive():
                    if more["type"] == "http.disconnect":
                        raise Refusal(400, DataError("A request arrives as a whole", "a part of one"))
                    chunk = more.get("body", b"")
                    held += len(chunk)
                    self._bytes += len(chunk)
                    body += chunk
                    self._check_size(len(body))
                    if not more.get("more_body"):
                        break
            await self._app(scope, _one_body(bytes(body)), keep)
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
            self._requests -= 1
            self._bytes -= held

    def _admit(self, headers: dict[bytes, bytes], rule: Rule, visit: Visit) -> None:
        """Raises Refusal for what can be told from the headers."""
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
        kind = headers.get(b"content-type", b"").split(b";")[0].strip().lower().decode("latin-1")
        if rule.takes and kind != rule.takes:
            error = UsageError("The body of this request is " + rule.takes, ascii(kind[:100]) if kind else "none")
            raise Refusal(415, error)
        length = headers.get(b"content-length", b"0")
        self._check_size(int(length) if length.isdigit() else 0)
        if self._requests > self._limits.queue and rule.scope is not None:
            raise busy(f"a request more than the {self._limits.queue} it works on")

    def _holder(self, headers: dict[bytes, bytes], tokens: Tokens) -> Token:
        kind, _, presented = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        try:
            return tokens.holder(presented.strip() if kind.lower() == "bearer" else None)
        except StoreError as error:
            raise refusal_of(error) from None
        except DataError as error:
            raise Refusal(401, error) from None

    def _check_size(self, size: int) -> None:
        limit = self._limits.request_bytes
        if size > limit:
            raise Refusal(413, DataError(f"A request has at most {limit:,} bytes", f"{size:,} or more"))
        if self._bytes + size > _BODIES * limit:
            raise busy(f"more than {_BODIES * limit:,} bytes at a time")


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
        return json.dumps(_finite(values)).encode()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(held) for key, held in value.items()}
    if isinstance(value, list):
        return [_finite(held) for held in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


async def _no_body() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


def _one_body(body: bytes) -> Receive:
    sent = False

    async def receive() -> Message:
        nonlocal sent
        if sent:
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive
