"""Identity: create, rotate and delete API keys, with the admin token."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from langcache_mockserver.domain.registry import Access, Key, digest_of, grants_of, moment
from langcache_mockserver.http.problems import ProblemError
from langcache_mockserver.http.request import path_id
from langcache_mockserver.http.response import JSONResponse
from langcache_mockserver.http.routing import routes_of
from langcache_mockserver.planes.control import admin_operation
from langcache_mockserver.planes.health import readiness
from langcache_mockserver.planes.service import service_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request


async def _create_key(request: Request) -> Response:
    service = service_of(request)
    body = await service.bodies.read(request, "CreateKeyRequest")
    token = _new_token()
    key = Key(
        id=uuid.uuid4().hex,
        name=body["name"],
        digest=digest_of(token),
        grants=grants_of((grant["resourceId"], grant["actions"]) for grant in body["grants"]),
        created_at=moment(service.clock()),
    )
    await service.workers.run(service.gate.registry.add_key, key)
    return JSONResponse(_with_token(key, token), 201)


async def _list_keys(request: Request) -> Response:
    gate = service_of(request).gate
    await gate.read_records()
    keys = gate.registry.minted_keys()
    return JSONResponse({"apiKeys": [_as_json(key) for key in keys]})


async def _rotate_key(request: Request) -> Response:
    token = _new_token()
    key = await _change_key(request, lambda key: replace(key, digest=digest_of(token)))
    return JSONResponse(_with_token(key, token))


async def _delete_key(request: Request) -> Response:
    await _change_key(request, lambda _key: None)
    return Response(status_code=204)


async def _change_key(request: Request, change: Callable[[Key], Key | None]) -> Key:
    """Change or remove the key in the path, and return it as it was before.

    Raises:
        ProblemError: 404, if there is none.
    """
    service, key_id = service_of(request), path_id(request, "keyId")
    key = await service.workers.run(service.gate.registry.change_key, key_id, change)
    if key is None:
        raise ProblemError(404, "there is no API key of this id")
    return key


def _new_token() -> str:
    return secrets.token_urlsafe(32)


def _with_token(key: Key, token: str) -> dict[str, str]:
    return {"keyId": key.id, "token": token, "createdAt": key.created_at}


def _as_json(key: Key) -> dict[str, Any]:
    grants = [
        {
            "product": "langcache",
            "resourceType": "lc-cache",
            "resourceId": cache_id,
            "actions": [each.name.lower() for each in Access if Access.NONE < each <= access],
        }
        for cache_id, access in key.grants.items()
    ]
    return {"keyId": key.id, "name": key.name, "grants": grants, "createdAt": key.created_at}


_KEYS = "/identity/v1/api-keys"

ROUTES = [
    *routes_of(
        _KEYS,
        GET=admin_operation("listKeys", _list_keys),
        POST=admin_operation("createKey", _create_key),
    ),
    *routes_of(f"{_KEYS}/{{keyId}}", DELETE=admin_operation("deleteKey", _delete_key)),
    *routes_of(f"{_KEYS}/{{keyId}}/rotate", POST=admin_operation("rotateKey", _rotate_key)),
    *routes_of("/identity/v1/health/ready", GET=readiness),
]
"""The routes of identity, and its probe."""
