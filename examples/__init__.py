"""Examples, each started with one command; `make` lists them."""
