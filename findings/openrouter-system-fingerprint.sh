#!/usr/bin/env bash
# Guess: an answer without system_fingerprint, which is optional for OpenAI, is read.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet langchain-openrouter==0.2.9 openrouter==0.11.46 \
  langchain-core==1.8.3
"$folder/venv/bin/python" - <<'EOF'
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version

from langchain_openrouter import ChatOpenRouter

CHOICE = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
ANSWER = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [CHOICE]}


class Server(BaseHTTPRequestHandler):
    extra = {}

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps({**ANSWER, **self.extra}).encode())

    def log_message(self, *args):
        pass


server = HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
model = ChatOpenRouter(model="m", base_url=url, api_key="k", max_retries=0)
print("langchain-openrouter", version("langchain-openrouter"), "openrouter", version("openrouter"))
print("With a base_url of an OpenAI-compatible server, invoke fails if the answer has no member")
print("system_fingerprint; null is enough.")
try:
    model.invoke("hi")
except Exception as error:
    print("without:", type(error).__name__, "-", str(error).splitlines()[1])
    assert "system_fingerprint" in str(error), "changed"
else:
    raise SystemExit("changed: it is read")
Server.extra = {"system_fingerprint": None}
print("null:", model.invoke("hi").text)
EOF
