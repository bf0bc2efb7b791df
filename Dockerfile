# The server as an image: `docker build -t langcache-mockserver .`, then
# `docker run -p 127.0.0.1:8080:8080 langcache-mockserver`. Once built, it needs no network.

FROM python:3.12-slim AS build
RUN pip install --no-cache-dir "uv>=0.8"
WORKDIR /source
COPY pyproject.toml uv.lock README.md LICENSE CHANGELOG.md openapi.yaml ./
COPY src src
COPY models models
COPY mockserver mockserver
# The versions of the lock file, then the wheels of this workspace, the model's among them.
RUN uv build --quiet --wheel --all-packages --out-dir /wheels \
    && uv export --quiet --frozen --no-dev --no-emit-workspace --package langcache-mockserver \
        --extra otel --extra redis --output-file /wheels/requirements.txt
RUN python -m venv /opt/langcache \
    && /opt/langcache/bin/pip install --no-cache-dir --require-hashes -r /wheels/requirements.txt \
    && /opt/langcache/bin/pip install --no-cache-dir --no-deps /wheels/*.whl

FROM python:3.12-slim
RUN useradd --system --uid 10001 --no-create-home langcache \
    && install --directory --owner langcache /data
COPY --from=build /opt/langcache /opt/langcache
# Other containers and the host must reach it, so it listens on all addresses; who may is up to the
# published ports, and to --strict or --config. Entries live in memory unless --storage says where;
# /data is there for `sqlite:/data/langcache.db`. Hits are verified, unless --verify says otherwise.
ENV PATH=/opt/langcache/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    LANGCACHE_MOCKSERVER_HOST=0.0.0.0 \
    LANGCACHE_MOCKSERVER_PORT=8080 \
    LANGCACHE_MOCKSERVER_VERIFY=auto
USER langcache
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ['LANGCACHE_MOCKSERVER_PORT']}/health/readiness\", timeout=2)"]
ENTRYPOINT ["langcache-mockserver"]
