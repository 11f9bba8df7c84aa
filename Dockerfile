# docker build -t sewd .
# docker run --rm -p 127.0.0.1:8000:8000 --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges sewd
# docs/serving.md says more.
ARG PYTHON=docker.io/library/python:3.13-slim

FROM ${PYTHON} AS build
WORKDIR /source
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY export export
COPY runtime runtime
COPY serve serve
COPY web web
# What serving never reads is left out: the exporter, which needs torch, tests and sources of C.
RUN python3 -m venv /opt/sewd \
 && /opt/sewd/bin/python -m pip install --no-cache-dir --no-compile --constraint constraints.txt ".[server]" \
 && /opt/sewd/bin/python -m pip uninstall --yes pip \
 && cd /opt/sewd/lib/python3*/site-packages \
 && rm -rf sewd_export ../../../bin/sewd-export onnxruntime/transformers onnxruntime/quantization onnxruntime/tools \
 && find . -type d -name tests -prune -exec rm -rf {} + \
 && find . \( -name '*.c' -o -name '*.pyx' -o -name '*.h' -o -name '*.a' \) -delete

FROM ${PYTHON}
COPY --from=build /opt/sewd /opt/sewd
ENV PATH=/opt/sewd/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 65532:65532
WORKDIR /models
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["python3", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health/ready', timeout=2)"]
ENTRYPOINT ["sewd", "serve", "--host", "0.0.0.0"]
