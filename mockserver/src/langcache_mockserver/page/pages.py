"""The pages, and who may see them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlencode, urlsplit

from starlette.responses import RedirectResponse, Response

from langcache_mockserver.controls.availability import is_local
from langcache_mockserver.domain.registry import digest_of
from langcache_mockserver.domain.sessions import LIFETIME_SECONDS
from langcache_mockserver.http.bodies import read_bytes
from langcache_mockserver.http.exchange import exchange_of
from langcache_mockserver.http.problems import ProblemError, not_found
from langcache_mockserver.http.request import header_values
from langcache_mockserver.http.routing import routes_of
from langcache_mockserver.page.files import DOCUMENTS, TABS, asset, render
from langcache_mockserver.planes.auth import SESSION_COOKIE, session_of
from langcache_mockserver.planes.service import service_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request

    from langcache_mockserver.http.routing import Endpoint

_LOGIN = "/page/login"
_MOST_FORM_BYTES = 4096

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# Redoc makes style elements, and shows icons from data URLs.
_DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "same-origin",  # `no-referrer` hides the origin of forms, too
    "x-frame-options": "DENY",
}


async def _page(request: Request, tab: str) -> Response:
    answer = await _kept_out(request)
    if answer is not None:
        return answer
    session = _session(request)
    change_token = service_of(request).gate.sessions.change_token(session) if session else ""
    return _html(render("tab.html", tab=tab, change_token=change_token))


async def _kept_out(request: Request) -> Response | None:
    """Return what a caller gets who may not see the page; None for those who may.

    Raises:
        ProblemError: 404, if this server has no page for this caller.
    """
    service = service_of(request)
    gate = service.gate
    if not gate.strict and not service.description.is_local:
        raise ProblemError(
            404, "in development mode the page is for servers on a loopback address; use --strict"
        )
    if not gate.has_console_key:
        if not is_local(request.scope):
            raise ProblemError(
                404, "without an admin token the page is for direct requests from this machine"
            )
        return None
    if not _session(request):
        return _to_login(request)
    try:
        await gate.enter_console(request)
    except ProblemError as problem:
        if problem.status not in {401, 403}:
            raise
        return _to_login(request)
    return None


def _session(request: Request) -> str:
    """Return the session of a request; "" without one, or where nobody signs in."""
    gate = service_of(request).gate
    session = session_of(request) if gate.has_console_key else ""
    return session if session and gate.sessions.digest(session) is not None else ""


def _to_login(request: Request) -> Response:
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(f"{_LOGIN}?{urlencode({'next': here})}", 303, headers=_HEADERS)


async def _login_form(request: Request) -> Response:
    service = service_of(request)
    if not service.gate.strict and not service.description.is_local:
        raise not_found()
    target = _own_path(request.query_params.get("next", "/"))
    if not service.gate.has_console_key:
        return RedirectResponse(target, 303, headers=_HEADERS)
    return _html(render("login.html", target=target, problem=""))


async def _login(request: Request) -> Response:
    gate = service_of(request).gate
    _refuse_other_sites(request)
    if not gate.has_console_key:
        raise not_found()
    form = parse_qs((await read_bytes(request, _MOST_FORM_BYTES)).decode("latin-1"))
    token, target = (form.get(name, [""])[0] for name in ("token", "next"))
    digest = digest_of(token.strip())
    target = _own_path(target)
    if not await gate.may_sign_in(digest):
        problem = "This token cannot open the page."
        return _html(render("login.html", target=target, problem=problem), 401)
    response = RedirectResponse(target, 303, headers=_HEADERS)
    response.set_cookie(
        SESSION_COOKIE,
        gate.sessions.begin(digest),
        max_age=LIFETIME_SECONDS,
        httponly=True,
        samesite="strict",
        secure=_is_https(request),
    )
    return response


async def _logout(request: Request) -> Response:
    _refuse_other_sites(request)
    response = RedirectResponse(_LOGIN, 303, headers=_HEADERS)
    response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
    return response


def _refuse_other_sites(request: Request) -> None:
    """Refuse a form that a page of another site sends.

    Raises:
        ProblemError: 403, if one does.
    """
    origin = header_values(request.scope, b"origin")
    host = header_values(request.scope, b"host")
    if origin and [urlsplit(each.decode("latin-1")).netloc.encode() for each in origin] != host:
        raise ProblemError(403, "the request comes from another site")


def _own_path(target: str) -> str:
    """Return a path of this server to go to, and nothing else."""
    is_own = target.startswith("/") and not target.startswith("//") and "\\" not in target
    return target if is_own and target.isprintable() else "/"


def _is_https(request: Request) -> bool:
    forwarded = header_values(request.scope, b"x-forwarded-proto")
    return request.scope.get("scheme") == "https" or forwarded == [b"https"]


async def _asset(request: Request) -> Response:
    found = asset(request.path_params["file"])
    if found is None:
        raise not_found()
    headers = {**_HEADERS, "content-security-policy": "default-src 'none'"}
    # The address of a file changes with its content.
    headers["cache-control"] = "public, max-age=86400"
    return Response(found.content, media_type=found.media_type, headers=headers)


async def _docs(request: Request) -> Response:
    name = request.path_params.get("name", "data")
    if name not in DOCUMENTS or (name == "mock" and service_of(request).controls is None):
        raise not_found()
    has_controls = service_of(request).controls is not None
    text = render("docs.html", name=name, has_controls=has_controls)
    return Response(
        text,
        media_type="text/html",
        headers={**_HEADERS, "content-security-policy": _DOCS_POLICY},
    )


def _html(text: str, status: int = 200) -> Response:
    return Response(text, status, media_type="text/html", headers=_HEADERS)


@cache
def _tab(name: str) -> Endpoint:
    async def shown(request: Request) -> Response:
        return await _page(request, name)

    return _noted(shown)


def _noted(endpoint: Callable[[Request], Awaitable[Response]]) -> Endpoint:
    """Return an endpoint that notes that it belongs to the page."""

    async def noted(request: Request) -> Response:
        exchange_of(request).operation = "page"
        return await endpoint(request)

    return noted


def _tab_routes() -> Mapping[str, Endpoint]:
    return {"/" if name == TABS[0] else f"/page/{name}": _tab(name) for name in TABS}


ROUTES = [
    *[route for path, endpoint in _tab_routes().items() for route in routes_of(path, GET=endpoint)],
    *routes_of(_LOGIN, GET=_noted(_login_form), POST=_noted(_login)),
    *routes_of("/page/logout", POST=_noted(_logout)),
    *routes_of("/page/static/{file}", GET=_noted(_asset)),
    *routes_of("/docs", GET=_noted(_docs)),
    *routes_of("/docs/{name}", GET=_noted(_docs)),
]
"""The routes of the page and of the documentation of the API."""
