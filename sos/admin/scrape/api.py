"""The paths that Prometheus reads, and who may."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import unquote

from ...domain.errors import NotImplementedHere, UnknownCall
from ...http.message import Reply, Request
from ..call import Services
from ..compression import compressed
from . import v2, v3
from .figures import gather
from .page import Page
from .tokens import bearer

V2, V3 = "/minio/v2/metrics/", "/minio/metrics/v3"
TEXT = ("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
BUCKET = "/bucket/"


class Metrics:
    """Answers for one worker, in the name of all of them."""

    def __init__(self, services: Services, public: Callable[[], bool]) -> None:
        """:param public: whether anybody may read them, at this moment"""
        self._services = services
        self._public = public

    async def __call__(self, request: Request) -> Reply:
        """:raises AccessDenied, UnknownCall, NotImplementedHere, ReadQuorumLost"""
        return await compressed(request, await self._answer(request))

    async def _answer(self, request: Request) -> Reply:
        if not self._public():
            await bearer(request, self._services)
        if request.method not in ("GET", "HEAD"):
            raise UnknownCall()
        path = unquote(request.path.decode("latin-1"))
        if path.startswith(V2):
            return await self._v2(path.removeprefix(V2))
        if path.startswith(V3):
            return await self._v3(path.removeprefix(V3).rstrip("/"))
        raise NotImplementedHere(what="the metrics of version 1")

    async def _v2(self, name: str) -> Reply:
        simple = {"cluster": v2.cluster, "node": v2.node, "bucket": v2.bucket}
        if name not in (*simple, "resource"):
            raise UnknownCall()
        figures = await gather(self._services)
        page = Page({"server": figures.facts.endpoint})
        if name == "resource":
            await v2.resource(page, figures)
        else:
            await asyncio.to_thread(simple[name], page, figures)
        return Reply(200, [TEXT], await asyncio.to_thread(page.render))

    async def _v3(self, path: str) -> Reply:
        parent, bucket = _bucket_of(path)
        wanted = [name for name in v3.COLLECTORS if v3.below(name, parent)]
        if not wanted:
            known = any(v3.below(name, parent) for name in v3.WITHOUT)
            if known:
                raise NotImplementedHere(what=f"metrics of {parent}")
            return Reply(404, [("Content-Type", "text/plain; charset=utf-8")], b"Metrics Resource Not found\n")
        figures = await gather(self._services)
        pages = Page(), Page({"server": figures.facts.endpoint})
        for name in wanted:
            if bucket or not name.startswith(BUCKET):
                await v3.COLLECTORS[name](v3.Asked(figures, *pages, bucket))
        return Reply(200, [TEXT], b"".join([await asyncio.to_thread(page.render) for page in pages]))


def _bucket_of(path: str) -> tuple[str, str]:
    """The collectors that a path names, and the bucket behind them: ``/bucket/api/photos``."""
    for name in (*v3.COLLECTORS, *v3.WITHOUT):
        if name.startswith(BUCKET) and path.startswith(name + "/"):
            return name, path.removeprefix(name + "/")
    return path, ""
