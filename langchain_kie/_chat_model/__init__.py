"""The parts of `ChatKieGemini`: its parameters, tools, the running of a call, LangChain's hooks."""
