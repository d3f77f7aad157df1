"""LangChain messages to turns of text and media."""
