"""The cost of `langchain_kie`, compared with minimal integrations and with other packages."""
