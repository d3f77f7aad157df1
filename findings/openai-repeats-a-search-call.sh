#!/usr/bin/env bash
# Guess: a server tool call that ChatOpenAI does not know, such as Gemini's url_context in a history
# of two models, is left out of a request of the Responses API, or is an error that names it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet langchain-openai==1.7.4 langchain-core==1.8.3
"$folder/venv/bin/python" - <<'EOF'
from importlib.metadata import version

from langchain_core.messages import AIMessage, HumanMessage
from langchain_openai import ChatOpenAI

model = ChatOpenAI(model="gpt-5", api_key="none", use_responses_api=True, output_version="v1")


def sent(*names):
    content = [{"type": "text", "text": "Done."}]
    for name in reversed(names):
        call = {"type": "server_tool_call", "name": name, "id": name, "args": {"query": name}}
        result = {"type": "server_tool_result", "tool_call_id": name, "status": "success"}
        content[:0] = [call, {**result, "output": []}]
    answer = AIMessage(content, response_metadata={"output_version": "v1"})
    try:
        payload = model._get_request_payload([HumanMessage("hi"), answer, HumanMessage("more")])
    except UnboundLocalError as error:
        return type(error).__name__
    return [(item["type"], item["id"]) for item in payload["input"] if "id" in item]


print("langchain-openai", version("langchain-openai"))
print("The call of an unknown server tool is replaced by a copy of the call before it.")
seen = {names: sent(*names) for names in [("web_search", "url_context"), ("url_context",)]}
for names, items in seen.items():
    print(" ".join(names), "->", items)
search = ("web_search_call", "web_search")
assert seen["web_search", "url_context"] == [search, search], "changed"
assert seen["url_context",] == "UnboundLocalError", "changed"
EOF
