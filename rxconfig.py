"""Reflex's configuration: one port for pages, socket and API; no database of Reflex's own."""

import os

import reflex as rx

PORT = int(os.environ.get("PORT", "8000"))

config = rx.Config(
    app_name="chat_platform",
    app_module_import="chat_platform.app",
    frontend_port=PORT,
    backend_port=PORT,
    backend_host=os.environ.get("HOST", "127.0.0.1"),
    # The build bakes this address in; app.py answers with the request's own instead.
    api_url="http://localhost:8000",
    deploy_url="http://localhost:8000",
    state_manager_mode="redis" if os.environ.get("REDIS_URL") else "memory",
    redis_url=os.environ.get("REDIS_URL") or None,
    telemetry_enabled=False,
    show_built_with_reflex=False,
    frontend_compression_formats=["brotli", "gzip"],
    plugins=[],
    disable_plugins=[rx.plugins.SitemapPlugin],
)
