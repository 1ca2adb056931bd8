"""The way of an admin call: route, authenticate, authorise, handle, reply. Refusals are raised; the caller shows them."""

from __future__ import annotations

from urllib.parse import parse_qs

from ..domain.errors import InvalidRequest, NotImplementedHere
from ..http.message import Reply, Request
from ..http.signed import Authenticate
from .call import Call, Services
from .compression import compressed
from .router import route

PARAMETERS_MAX = 1000


class AdminApi:
    """The admin API of one worker."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, request: Request, authenticate: Authenticate) -> Reply:
        """The reply. :raises StoreError:"""
        try:
            query = parse_qs(request.query.decode("latin-1"), keep_blank_values=True, max_num_fields=PARAMETERS_MAX)
        except ValueError:
            raise InvalidRequest("Too many parameters in the query.") from None
        operation, path = route(request.method, request.path, query)
        request.name = f"admin.{operation.name}"
        call = Call(request, operation, path, query, await authenticate(), self._services)
        await call.address()
        if operation.actions:
            await call.authorise()
        if operation.handler is None:
            raise NotImplementedHere(what=operation.name)
        return await compressed(request, await operation.handler(call))
