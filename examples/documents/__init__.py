"""Questions about documents, answered with quotes that are checked."""
