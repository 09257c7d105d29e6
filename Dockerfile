# The server: pages, API and LLM proxy on one port. Needs Postgres, and Letta and LiteLLM beside it.
ARG PYTHON=python:3.11-slim-bookworm

# What is needed to build: uv, at the pinned version.
FROM ${PYTHON} AS uv
ENV UV_LINK_MODE=copy UV_NO_CACHE=1
WORKDIR /app
COPY requirements.txt ./
RUN awk '/^[^ ]/{is_uv = /^uv==/} is_uv && !/#/' requirements.txt > uv.txt \
 && python -m venv /build \
 && /build/bin/pip install -q --no-cache-dir --disable-pip-version-check --require-hashes -r uv.txt

# The pages: built once per language, with the Node that serving does not need.
FROM uv AS pages
ARG ROOT_PATH=
RUN /build/bin/uv pip install -q -p /build --require-hashes -r requirements.txt
COPY . .
ENV PATH=/build/bin:$PATH
RUN python -m chat_platform build && mkdir /built && cp -r .web/site .web/backend /built

# The program and its packages, readable by everyone, whatever the builder's umask was.
FROM uv AS program
COPY requirements-server.txt requirements-traces.txt ./
# What sends traces is installed only if they are sent.
ARG OTEL_EXPORTER_OTLP_ENDPOINT=
RUN packages=server && if [ -n "$OTEL_EXPORTER_OTLP_ENDPOINT" ]; then packages=traces; fi \
 && python -m venv --without-pip /opt/venv \
 && /build/bin/uv pip install -q -p /opt/venv --compile-bytecode --require-hashes -r "requirements-$packages.txt"
COPY . .
COPY --from=pages /built .web
RUN rm -r deploy uv.txt requirements*.txt \
 && /opt/venv/bin/python -m compileall -q chat_platform rxconfig.py \
 && printf '#!/opt/venv/bin/python\nfrom chat_platform.cli import app\n\napp()\n' > /opt/venv/bin/chat-platform \
 && echo /app > /opt/venv/lib/python3.11/site-packages/chat_platform.pth \
 && chmod 755 /opt/venv/bin/chat-platform && chmod -R u=rwX,go=rX /app

FROM ${PYTHON}
RUN useradd --uid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin platform
COPY --from=program /opt/venv /opt/venv
COPY --from=program /app /app
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    ENVIRONMENT=production \
    DATA_DIR=/tmp/data \
    HOST=0.0.0.0
USER 10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
  CMD ["python", "-c", "import os; from urllib.request import urlopen; urlopen('http://127.0.0.1:' + os.environ.get('PORT', '8000') + os.environ.get('ROOT_PATH', '') + '/api/v1/health/live', timeout=4)"]
CMD ["chat-platform", "serve"]
