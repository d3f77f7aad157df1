"""A chat backend: FastAPI, a LangGraph agent, and one page for the browser."""
