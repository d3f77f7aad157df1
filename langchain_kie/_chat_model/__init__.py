"""The parts of `ChatKieGemini`: its parameters, the running of a call, LangChain's hooks."""
