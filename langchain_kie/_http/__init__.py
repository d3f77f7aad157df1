"""HTTP: connections, retries and the parsing of response bodies. Independent of LangChain."""
