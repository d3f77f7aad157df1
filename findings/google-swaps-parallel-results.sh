#!/usr/bin/env bash
# Guess: the results of two calls of one function reach Gemini with the ids of the calls, or at
# least in the order of the calls, whatever the order of the tool messages.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet langchain-google-genai==4.4.3 langchain-core==1.8.3
"$folder/venv/bin/python" - <<'EOF'
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.metadata import version

from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_google_genai import ChatGoogleGenerativeAI

ANSWER = {"candidates": [{"content": {"parts": [{"text": "ok"}], "role": "model"}}]}
bodies = []


class Gemini(BaseHTTPRequestHandler):
    def do_POST(self):
        bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        body = json.dumps(ANSWER).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Gemini)
threading.Thread(target=server.serve_forever, daemon=True).start()
model = ChatGoogleGenerativeAI(
    model="gemini-3-flash", api_key="none", base_url=f"http://127.0.0.1:{server.server_port}"
)


def sent(*messages):
    model.invoke([HumanMessage("Tell me."), *messages])
    return [part for content in bodies[-1]["contents"] for part in content["parts"]]


print("langchain-google-genai", version("langchain-google-genai"))
calls = [{"name": "weather", "args": {"city": c}, "id": c} for c in ("Oslo", "Rome")]
results = [ToolMessage(f"in {city}", tool_call_id=city) for city in ("Rome", "Oslo")]
parts = sent(AIMessage("", tool_calls=calls), *results)
asked = [part["functionCall"] for part in parts if "functionCall" in part]
answered = [part["functionResponse"] for part in parts if "functionResponse" in part]
print("No ids are sent, and results go out as they come: those of Oslo and Rome are exchanged.")
print("calls:", asked)
print("results:", answered)
assert not any("id" in part for part in [*asked, *answered]), "changed"
assert [call["args"]["city"] for call in asked] == ["Oslo", "Rome"], "changed"
assert [r["response"]["output"] for r in answered] == ["in Rome", "in Oslo"], "changed"
EOF
