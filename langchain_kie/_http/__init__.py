"""HTTP: connections, retries and the parsing of response bodies. Knows nothing of LangChain."""
