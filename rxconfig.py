"""Reflex's configuration: one port for pages, socket and API; no database, no Radix stylesheet."""

import os

import reflex as rx

config = rx.Config(
    app_name="chat_platform",
    app_module_import="chat_platform.app",
    frontend_port=8000,
    backend_port=8000,
    # The build bakes this address in; launcher/frontend.py makes it the page's own origin.
    api_url="http://localhost:8000",
    deploy_url="http://localhost:8000",
    # A path in front of everything; app.py puts the setting here at start.
    frontend_path=os.environ.get("ROOT_PATH", ""),
    # front_door.py decides who may open the socket; app.py puts ALLOWED_ORIGINS here at start.
    cors_allowed_origins=(),
    state_manager_mode="redis" if os.environ.get("REDIS_URL") else "memory",
    redis_url=os.environ.get("REDIS_URL") or None,
    # How long the states of a tab are kept after it was last heard from; a page fills them anew.
    redis_token_expiration=1800,
    telemetry_enabled=False,
    show_built_with_reflex=False,
    frontend_compression_formats=["brotli", "gzip"],
    plugins=[],
    disable_plugins=[rx.plugins.SitemapPlugin],
)
