"""The way of every request: route, limits, authenticate, authorise, handle, reply. Never raises.

Order matters. Nothing about a bucket or an object is looked up before the request is authorised, and no byte of a body
is read before that either; a handler that reads the body does so through :class:`~sos.s3.call.Call`.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from ..domain.errors import AccessDenied, Busy, ClientGone, NotImplementedHere, UnknownCall
from ..domain.names import check_bucket_name, check_key
from ..http.message import Handler, Reply, Request
from ..http.signed import Signed, SignedHandler
from ..http.watch import Watch
from ..services.decisions.records import Occasion
from . import cors
from . import health as probes
from .auth.authenticate import authenticate
from .auth.body import read_document
from .auth.claimed import claimed
from .auth.errors import AuthError
from .auth.hoisted import with_hoisted
from .auth.identity import Identity, KeyLookup, Scheme
from .auth.query import parse_query
from .auth.sigv2 import check_selectors
from .call import Authorise, Call, Services, Settings, signed_only
from .circumstances import Circumstances
from .codes import Code
from .errors import Failure, Place, Refusal, describe, render, render_json
from .health import Health
from .limits import check_headers
from .operations import OPERATIONS, Operation
from .patience import Wait, no_wait, patiently
from .router import route, target

is_sha256 = re.compile(r"[0-9a-f]{64}").fullmatch
RESERVED = b"/minio"
#: How often a request that waits looks whether it still must, in seconds.
FROZEN_LOOK_S = 0.05
ADMIN = (b"/minio/admin/", b"/minio/kms/")
METRICS = (b"/minio/v2/metrics/", b"/minio/metrics/v3", b"/minio/prometheus/metrics")
NOBODY = Identity(anonymous=True)
UNNAMED = "internal.<unknown>"
NAMES = tuple(operation.name for operation in OPERATIONS)
"""What is counted, in the order of the table."""


@dataclass(slots=True)
class _Seen:
    """What is known of a request so far, for its failure, its tally and its trace.

    :param number: what its operation is counted under
    """

    operation: Operation | None = None
    number: int | None = None
    bucket: str = ""
    key: bytes = b""


def _named(request: Request) -> _Seen:
    """The bucket that a call of the admin API is about."""
    with suppress(AuthError):
        return _Seen(bucket=dict(reversed(parse_query(request.query))).get("bucket", ""))
    return _Seen()


class Dispatcher:
    """The S3 surface of one worker.

    :param keys: access key → credentials
    :param authorise: whether an identity may do an action on a bucket and key
    :param wait: what to do when one of the two cannot tell at this moment
    :param admin: answers the paths of the admin API
    :param follow: takes over a configuration that was changed; called before anything is decided by it
    :param watch: is told of every request; None: one of its own
    :param metrics: answers the paths of Prometheus
    :param frozen: whether S3 requests are to wait
    """

    def __init__(
        self,
        services: Services,
        keys: KeyLookup,
        settings: Settings,
        health: Health,
        authorise: Authorise = signed_only,
        wait: Wait = no_wait,
        admin: SignedHandler | None = None,
        follow: Callable[[], None] = lambda: None,
        watch: Watch | None = None,
        metrics: Handler | None = None,
        frozen: Callable[[], bool] = lambda: False,
    ) -> None:
        self._services = services
        self._keys = keys
        self.settings = settings
        self._health = health
        self._authorise = authorise
        self._wait = wait
        self._admin = admin
        self._follow = follow
        #: S3 requests whose reply is being made
        self._under_way = 0
        self._metrics = metrics
        self._frozen = frozen
        self.stopping = False
        self._watch = watch or Watch.alone(NAMES)
        self.tallies = self._watch.tallies

    async def handle(self, request: Request) -> Reply:
        """The reply to a request, whatever happens (but for the cancellation of the task)."""
        seen, began_ns = _Seen(), time.monotonic_ns()
        try:
            reply = await self._answer(request, seen)
        except Exception as error:  # noqa: BLE001 - the outermost level of a request
            show = render_json if request.path.startswith((*ADMIN, *METRICS)) else render
            failure = describe(error)
            if failure.status == 403 and not failure.detail.get("decided"):
                self._refused(request, seen, failure)
            reply = show(failure, self._place(request, seen if show is render else _named(request)))
        if "origin" in request.headers and request.method != "OPTIONS":
            cors.share(reply, request.headers, self.settings.origins)
        name = seen.operation.name if seen.operation is not None else ""
        self._watch.answered(request, reply, seen.number, name, seen.bucket, began_ns)
        return reply

    async def _answer(self, request: Request, seen: _Seen) -> Reply:
        if request.method == "OPTIONS":
            await patiently(self._follow, self._wait)
            return cors.preflight(request.headers, self.settings.origins)
        if request.path.startswith(RESERVED) and request.path[6:7] in (b"", b"/"):
            return await self._reserved(request)
        if self._frozen():
            await self._thawed(request)
        await patiently(self._follow, self._wait)
        if self._under_way >= self.settings.requests_max:
            raise Refusal(Code.TooManyRequests)
        self._under_way += 1
        try:
            return await self._serve(request, seen)
        finally:
            self._under_way -= 1

    async def _thawed(self, request: Request) -> None:
        """Until requests need not wait any more.

        :raises Busy: the worker is about to end
        :raises ClientGone:
        """
        while self._frozen():
            if request.disconnected():
                raise ClientGone()
            if self.stopping:
                raise Busy("the server is frozen")
            await asyncio.sleep(FROZEN_LOOK_S)

    async def _serve(self, request: Request, seen: _Seen) -> Reply:
        settings = self.settings
        bucket, key, host_bucket = target(request.path, request.headers.get("host"), settings.domains)
        seen.bucket, seen.key = bucket, key
        pairs = parse_query(request.query)
        query = dict(reversed(pairs))
        whole = with_hoisted(request, query, pairs)
        operation = route(request.method, bucket, key, query, whole.headers)
        seen.operation = operation
        seen.number = self.tallies.begin(operation.name)
        check_headers(whole.headers)
        identity = await self._who(request, host_bucket) if operation.signed else NOBODY
        if identity.version == 2:
            check_selectors(operation.query)
        action = operation.version_action if "versionId" in query else operation.action
        call = Call(
            whole if operation.signed else request,
            operation.name,
            action,
            bucket,
            key,
            query,
            identity,
            self._services,
            settings,
            self._authorise,
            self._keys,
            self._wait,
        )
        if not operation.by_handler:
            await call.require(action, bucket, key, query.get("versionId", ""))
        if operation.handler is None:
            raise NotImplementedHere(what=operation.name)
        if bucket:
            check_bucket_name(bucket)
        if key:
            check_key(key)
        return await operation.handler(call)

    async def _who(self, request: Request, host_bucket: str) -> Identity:
        """:raises AuthError, AccessDenied, IdentityClosed"""

        def attempt() -> Identity:
            return authenticate(request, self._keys, self.settings.region, time.time(), host_bucket=host_bucket)

        return await patiently(attempt, self._wait)

    async def _reserved(self, request: Request) -> Reply:
        """Paths below ``/minio/``, which are no bucket."""
        request.name = UNNAMED
        reply = probes.answer(request, self._health) if request.path.startswith(probes.PREFIX) else None
        if reply is not None:
            request.name = "health." + request.path[len(probes.PREFIX) :].decode("latin-1")
            return reply
        if self._metrics is not None and request.path.startswith(METRICS):
            request.name = "metrics"
            return await self._metrics(request)
        if request.path.startswith(ADMIN):
            if self._admin is None:
                raise UnknownCall()
            await patiently(self._follow, self._wait)
            return await self._admin(request, partial(self._signed, request))
        if request.path.strip(b"/") == b"minio":
            raise Refusal(Code.AllAccessDisabled)
        raise Refusal(Code.NoSuchKey, "There is nothing at this reserved path.")

    async def _signed(self, request: Request) -> Signed:
        """Who sent a call of the admin API. Only a V4 signature in the header, over the whole body, will do: what these
        calls change must not hang on a link, or on a body that anybody may have put in.

        :raises AuthError, AccessDenied, IdentityClosed
        """
        check_headers(request.headers)

        def attempt() -> Identity:
            return authenticate(request, self._keys, "", time.time())

        identity = await patiently(attempt, self._wait)
        whole = "x-amz-content-sha256" in request.headers and is_sha256(identity.payload)
        if identity.version != 4 or identity.scheme is not Scheme.HEADER or not whole:
            raise AccessDenied()
        found = await patiently(lambda: self._keys(identity.access_key), self._wait)
        if found is None:
            raise AccessDenied()
        values = Circumstances(request, identity, dict(reversed(parse_query(request.query))))
        values.tags = {}  # no call is about an object
        read = partial(read_document, request, identity, object_checksums=False)
        return Signed(found.principal, found.secret_key, values.get, read)

    def _refused(self, request: Request, seen: _Seen, failure: Failure) -> None:
        """Remember what was refused without a policy: what policies decided is remembered where it is."""
        name = seen.operation.name if seen.operation is not None else ""
        surface = "admin" if request.path.startswith(ADMIN) else "s3"
        occasion = Occasion(request.request_id, request.received_ns, surface, name)
        path = request.path.decode("utf-8", "replace")
        who = claimed(request, self._keys)
        self._services.decisions.refused(occasion, who, failure.code.name, failure.message, path)

    def _place(self, request: Request, seen: _Seen) -> Place:
        settings = self.settings
        return Place(
            request.method,
            request.path.decode("utf-8", "replace"),
            seen.bucket,
            seen.key.decode("utf-8", "replace"),
            request.request_id,
            settings.host_id,
            settings.region,
        )
