# syntax=docker/dockerfile:1
# The service. What `docker build .` gives pulls its release when it starts (RECSYS_REMOTE), or has a folder of them
# mounted (RECSYS_RELEASES); `--target with-release` bakes in artifacts/releases. Writes below /tmp alone.
ARG BASE_IMAGE=python:3.11-slim-bookworm
# What kernels are compiled for, any x86-64 server of ten years (docs/decisions/008-images.md); else `generic`.
ARG PROCESSOR=x86-64-v3
# `serve,s3,ann` where channels have an index (`ann` in params.yaml).
ARG EXTRAS=serve,s3

FROM ${BASE_IMAGE} AS build
ARG EXTRAS
WORKDIR /build
RUN python3 -m venv /opt/pip && python3 -m venv --without-pip /opt/venv
ENV PIP="/opt/pip/bin/pip --python /opt/venv/bin/python --no-cache-dir"
# Before src, whose changes then fetch nothing anew. Secrets, which no layer keeps, tell of an index of one's own:
# `--secret id=pip,src=pip.conf`, and `--secret id=ca,src=FILE` of whom to trust.
COPY LICENSE pyproject.toml requirements.lock ./
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    mkdir src && touch README.md && $PIP install --constraint requirements.lock ".[${EXTRAS}]" \
    && find /opt/venv -type d -name tests -prune -exec rm -r {} +
COPY src src
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca,target=/etc/ssl/certs/ca-certificates.crt \
    $PIP install --no-deps --force-reinstall .
COPY bentos/recommender /opt/recommender
WORKDIR /opt/recommender
ARG PROCESSOR
ENV NUMBA_CPU_NAME=${PROCESSOR} NUMBA_CPU_FEATURES="" NUMBA_CACHE_DIR=/opt/kernels
RUN /opt/venv/bin/python -m compileall -q . && /opt/venv/bin/python kernels.py compile

FROM ${BASE_IMAGE} AS base
COPY --from=build /opt/venv /opt/venv
COPY --from=build /opt/kernels /opt/kernels
COPY --from=build /opt/recommender /opt/recommender
ARG PROCESSOR
ENV PATH=/opt/venv/bin:$PATH \
    HOME=/tmp \
    BENTOML_HOME=/tmp/bentoml \
    BENTOML_DO_NOT_TRACK=True \
    BENTOML_PORT=3000 \
    NUMBA_CACHE_DIR=/tmp/kernels \
    NUMBA_CPU_FEATURES="" \
    NUMBA_CPU_NAME=${PROCESSOR} \
    OMP_NUM_THREADS=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONHASHSEED=0 \
    PYTHONUNBUFFERED=1 \
    RECSYS_KERNELS=/opt/kernels \
    RECSYS_RELEASES=/tmp/releases \
    RECSYS_STORE=/tmp/store
WORKDIR /opt/recommender
USER 10001:10001
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request as http; \
http.urlopen('http://127.0.0.1:' + os.environ['BENTOML_PORT'] + '/readyz', timeout=2)"]
ENTRYPOINT ["python", "start.py"]

FROM base AS with-release
COPY artifacts/releases /releases
ENV RECSYS_RELEASES=/releases

FROM base AS service
