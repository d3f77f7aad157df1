"""`python -m langchain_kie`: the same as the command `langchain-kie`."""

from langchain_kie.cli import main

if __name__ == "__main__":
    main()
