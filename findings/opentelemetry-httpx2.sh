#!/usr/bin/env bash
# Guess: OpenTelemetry's instrumentation of httpx also records the calls of httpx2, its successor.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opentelemetry-instrumentation-httpx==0.66b2 \
  opentelemetry-sdk==1.45.2 httpx==0.28.1 httpx2==2.16.2
"$folder/venv/bin/python" - <<'EOF'
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version

import httpx
import httpx2
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()

    def log_message(self, *args):
        pass


def count(library):
    exporter.clear()
    assert library.get(f"http://127.0.0.1:{server.server_port}/").status_code == 204
    return len(exporter.get_finished_spans())


exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
HTTPXClientInstrumentor().instrument(tracer_provider=provider)
with HTTPServer(("127.0.0.1", 0), Handler) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    spans = {library.__name__: count(library) for library in (httpx, httpx2)}
    server.shutdown()
names = ("opentelemetry-instrumentation-httpx", "httpx", "httpx2")
print(*(f"{name} {version(name)}" for name in names), sep=", ")
print("A call of httpx has a span; a call of httpx2 has none, and there is no warning. SDKs that")
print("moved to httpx2 disappear from the traces.")
print("spans:", spans)
assert spans == {"httpx": 1, "httpx2": 0}, "changed"
EOF
