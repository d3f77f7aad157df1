"""Decoded events of an answer to LangChain's chunks and messages."""
