#!/usr/bin/env bash
# Guess: token counts in every chunk are the counts so far, so that the last ones count.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet langchain-openai==1.7.4 langchain-openrouter==0.2.9 \
  langchain-core==1.8.3
"$folder/venv/bin/python" - <<'EOF'
import json
import threading
from functools import reduce
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version
from operator import add

from langchain_openai import ChatOpenAI
from langchain_openrouter import ChatOpenRouter


def chunk(text, tokens, reason=None):
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
    usage = {"prompt_tokens": 10, "completion_tokens": tokens, "total_tokens": 10 + tokens}
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return f"data: {json.dumps({**head, 'choices': [choice], 'usage': usage})}\n\n"


BODY = chunk("a", 2) + chunk("b", 4) + chunk("c", 6, "stop") + "data: [DONE]\n\n"


class Server(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(BODY.encode())

    def log_message(self, *args):
        pass


server = HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
print("Some OpenAI-compatible servers can send usage in each chunk (vLLM: continuous_usage_stats).")
print("They send the counts so far: 2, 4, 6 tokens. These packages add them up.")
seen = {}
for package, model in {
    "langchain-openai": ChatOpenAI(model="m", base_url=url, api_key="k"),
    "langchain-openrouter": ChatOpenRouter(model="m", base_url=url, api_key="k"),
}.items():
    usage = reduce(add, model.stream("hi")).usage_metadata
    print(package, version(package), "output tokens:", usage["output_tokens"])
    seen[package] = usage["output_tokens"]
assert set(seen.values()) == {12}, "changed"
EOF
