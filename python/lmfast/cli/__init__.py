"""The command line: one program, nouns then verbs, each a thin face of the Python calls."""
