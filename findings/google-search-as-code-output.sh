#!/usr/bin/env bash
# Guess: a web search in an answer of another model, in LangChain's standard blocks, is left out
# when the conversation goes on with Gemini: the call and its result.
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

from langchain_core.messages import AIMessage, HumanMessage
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
call = {"type": "server_tool_call", "name": "web_search", "id": "s1", "args": {"query": "fjords"}}
result = {"type": "server_tool_result", "tool_call_id": "s1", "status": "success"}
searched = AIMessage([call, {**result, "output": ["a page"]}, {"type": "text", "text": "Yes."}])
model.invoke([HumanMessage("Any fjords?"), searched, HumanMessage("Where?")])
parts = bodies[0]["contents"][1]["parts"]
print("langchain-google-genai", version("langchain-google-genai"))
print("The call is left out, with a warning; its result is sent as the output of code.")
print("parts:", parts)
assert [next(iter(part)) for part in parts] == ["codeExecutionResult", "text"], "changed"
EOF
