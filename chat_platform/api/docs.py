"""The API reference at `/api/v1/docs`: Swagger UI, with nothing loaded from elsewhere."""

from importlib.resources import files

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from chat_platform.api.deps import Ctx
from chat_platform.context import AppContext
from chat_platform.errors import NotFound

router = APIRouter(prefix="/docs", include_in_schema=False)

# Swagger UI writes styles into its elements and draws its icons from data: addresses.
POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:;"
    " style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
)
_TYPES = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon.png": "image/png",
}
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>AI Chat Platform API</title>
<link rel="icon" href="{root}/api/v1/docs/favicon.png">
<link rel="stylesheet" href="{root}/api/v1/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui"></div>
<script src="{root}/api/v1/docs/swagger-ui-bundle.js"></script>
<script src="{root}/api/v1/docs/start.js"></script>
</body>
</html>
"""
_START = """\
SwaggerUIBundle({url: "{root}/api/v1/openapi.json", dom_id: "#swagger-ui", deepLinking: true});
"""


@router.get("")
async def page(ctx: Ctx) -> HTMLResponse:
    return HTMLResponse(_placed(_PAGE, ctx), headers={"Content-Security-Policy": POLICY})


@router.get("/start.js")
async def start(ctx: Ctx) -> Response:
    return Response(_placed(_START, ctx), media_type="text/javascript")


@router.get("/{name}")
async def file(name: str) -> Response:
    if name not in _TYPES:
        raise NotFound("There is no such file.")
    content = files("fastapi_offline").joinpath("static", name).read_bytes()
    return Response(content, media_type=_TYPES[name], headers={"Cache-Control": "max-age=86400"})


def _placed(text: str, ctx: AppContext) -> str:
    return text.replace("{root}", ctx.settings.root_path)
