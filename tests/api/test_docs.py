"""The API documentation pages are self-contained: own files, no script from elsewhere."""

import re

import httpx


async def test_the_docs_load_only_files_of_this_server(client: httpx.AsyncClient):
    page = await client.get("/api/v1/docs")

    assert page.status_code == 200
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) == 4
    for address in loaded:
        answer = await client.get(address)
        assert answer.status_code == 200, address
    assert "script-src 'self'" in page.headers["content-security-policy"]


async def test_no_other_file_is_served(client: httpx.AsyncClient):
    for name in ("core.py", "..%2fcore.py", "redoc.standalone.js"):
        assert (await client.get(f"/api/v1/docs/{name}")).status_code == 404
