"""The plain HTTP beside Reflex: signing in and out, the log stream, artifacts, and who may load a page at all."""

import re
from typing import Final
from urllib.parse import quote, urlsplit

from reflex_base.config import get_config
from starlette.applications import Starlette
from starlette.datastructures import URL
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opsroom.control_plane.errors import ControlPlaneUnreachable, NotConfigured
from opsroom.domain.errors import NotAMember, NotAuthenticated, OpsRoomError
from opsroom.domain.param_text import read_json
from opsroom.domain.params import MAX_BYTES
from opsroom.room.artifact_files import artifact_bytes, artifact_view, bundle
from opsroom.room.bundles import find, zipped
from opsroom.room.command_bar import act, offer
from opsroom.room.export import export
from opsroom.room.live import signed_out
from opsroom.room.log_files import log_file
from opsroom.room.log_stream import log_stream
from opsroom.room.sign_ins import COOKIE, MAX_AGE_SECONDS, SignIn, require, sign_ins

PAGE: Final = re.compile(
    r"^/($|(approvals|command|compare|insights|members|runs|sessions|spec-kit|templates|workers)(/|$))"
)

SAFETY_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
)


def back(path: str | None) -> str:
    """A path of this room to go to, and never another site."""
    return path if path and re.match(r"^/(?![/\\])[\w\-./?=&%]*$", path) else "/"


def _same_origin(request: Request) -> bool:
    origin = request.headers.get("origin") or ""
    if origin in get_config().cors_allowed_origins:
        return True
    return bool(origin) and urlsplit(origin).netloc == request.headers.get("host")


def _cookie(request: Request) -> str | None:
    return request.cookies.get(COOKIE)


async def sign_in(request: Request) -> Response:
    """POST e-mail and password, or `local=1` for the embedded stack's own operator."""
    if not _same_origin(request):
        return PlainTextResponse("This form was not sent from the control room.", status_code=403)
    form = await request.form()
    destination = back(str(form.get("next") or ""))
    try:
        room = sign_ins()
        local = room.connection.local_operator
        if form.get("local"):
            if local is None:
                raise NotAuthenticated("There is no local operator here.")
            cookie = await room.open(local.email, local.password)
        else:
            cookie = await room.open(str(form.get("email") or "").strip(), str(form.get("password") or ""))
    except OpsRoomError as error:
        return RedirectResponse(f"/sign-in?reason={_reason(error)}&next={quote(destination)}", status_code=303)
    await room.close(_cookie(request))  # a sign-in that is replaced must not linger
    answer = RedirectResponse(destination, status_code=303)
    answer.set_cookie(
        COOKIE, cookie, max_age=MAX_AGE_SECONDS, httponly=True, samesite="lax", secure=request.url.scheme == "https"
    )
    return answer


def _reason(error: OpsRoomError) -> str:
    match error:
        case NotAMember():
            return "not_a_member"
        case ControlPlaneUnreachable():
            return "unreachable"
        case NotConfigured():
            return "not_configured"
        case NotAuthenticated() if "Too many" in error.message:
            return "too_many"
        case _:
            return "refused"


async def sign_out(request: Request) -> Response:
    """End the sign-in here and on the control plane."""
    if not _same_origin(request):
        return PlainTextResponse("This form was not sent from the control room.", status_code=403)
    ended = sign_ins().find(_cookie(request))
    await sign_ins().close(_cookie(request))
    if ended:
        signed_out(ended)
    answer = RedirectResponse("/sign-in?reason=bye", status_code=303)
    answer.delete_cookie(COOKIE, httponly=True, samesite="lax")
    return answer


async def log(request: Request) -> Response:
    """The log of a run, as server-sent events after `?after=` or `Last-Event-ID`."""
    signed_in = require(_cookie(request))
    given = request.headers.get("last-event-id") or request.query_params.get("after") or "0"
    after = int(given) if given.isascii() and given.isdigit() else 0
    return StreamingResponse(
        log_stream(signed_in, request.path_params["run_id"], after),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def command_bar(request: Request) -> Response:
    """What the command bar offers for `?q=`."""
    return JSONResponse(await offer(require(_cookie(request)), request.query_params))


async def command(request: Request) -> Response:
    """Do what was confirmed in the command bar."""
    if not _same_origin(request):
        return PlainTextResponse("This was not asked for from the control room.", status_code=403)
    body = await request.body()
    try:
        order = read_json(body.decode()) if len(body) <= 2 * MAX_BYTES else None
    except ValueError:
        order = None
    return JSONResponse(await act(require(_cookie(request)), order))


async def spec_zip(request: Request) -> Response:
    """A Spec Kit bundle as a zip; the same bundle gives the same bytes."""
    signed_in = require(_cookie(request))
    query, slug = request.query_params, request.path_params["slug"]
    found = await find(signed_in.control_plane, slug, query.get("source", ""), query.get("version", ""))
    return Response(
        zipped(found.files, found.slug),
        media_type="application/zip",
        headers={
            "Content-Disposition": f'attachment; filename="{found.slug}.zip"',
            "Cache-Control": "private, no-store",
        },
    )


async def _refused(_: Request, error: Exception) -> Response:
    if not isinstance(error, OpsRoomError):
        raise error
    return JSONResponse({"code": error.code, "message": error.message, "hint": error.hint}, status_code=error.status)


class Doorman:
    """Sends who is not signed in from a page to the sign-in, and adds the headers that every answer has."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(h for h in SAFETY_HEADERS if h[0] not in given)]
            await send(message)

        request = Request(scope)
        if request.method == "GET" and PAGE.match(request.url.path) and not self._known(request):
            answer = RedirectResponse(f"/sign-in?next={quote(_whole_path(request.url))}", status_code=303)
            await answer(scope, receive, send_safely)
            return
        await self._app(scope, receive, send_safely)

    def _known(self, request: Request) -> SignIn | None:
        try:
            return sign_ins().find(_cookie(request))
        except NotConfigured:
            return None


def _whole_path(url: URL) -> str:
    return f"{url.path}?{url.query}" if url.query else url.path


def server() -> Starlette:
    """The app that Reflex is mounted into."""
    return Starlette(
        routes=[
            Route("/auth/sign-in", sign_in, methods=["POST"]),
            Route("/auth/sign-out", sign_out, methods=["POST"]),
            Route("/api/runs/export.{kind:str}", export),
            Route("/api/command", command_bar),
            Route("/api/command", command, methods=["POST"]),
            Route("/api/specs/{slug}.zip", spec_zip),
            Route("/api/runs/{run_id}/log", log),
            Route("/api/runs/{run_id}/bundle", bundle),
            Route("/api/runs/{run_id}/log.{form}", log_file),
            Route("/api/runs/{run_id}/artifacts/{artifact_id}", artifact_bytes),
            Route("/api/runs/{run_id}/artifacts/{artifact_id}/view", artifact_view),
        ],
        middleware=[Middleware(Doorman)],
        exception_handlers={OpsRoomError: _refused},
    )
