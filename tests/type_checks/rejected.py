"""Uses that type checkers reject, on each line that says so."""

from langchain_kie import ChatKieGemini

ChatKieGemini()  # rejected
ChatKieGemini("gemini-3.5-flash")  # rejected
ChatKieGemini(api_key="k")  # rejected
ChatKieGemini(model="x", temprature=0.1)  # rejected
ChatKieGemini(model="x", temperature="hot")  # rejected
ChatKieGemini(model="x", api="completions")  # rejected
ChatKieGemini(model="x", media_upload="sometimes")  # rejected
ChatKieGemini(model="x", stop=5)  # rejected
ChatKieGemini(model="x", http_client="a client")  # rejected
ChatKieGemini(model="x", google_api_key="k")  # rejected
ChatKieGemini(model="x").with_structured_output({}, method="yaml")  # rejected
ChatKieGemini(model="x").bind_tools([], tool_choice=5)  # rejected
