"""What `langchain_kie` costs, beside the least that any integration could cost, and its peers."""
