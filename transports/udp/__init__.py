"""Punctured UDP lives here: Internet paths between nodes behind NATs, found without a server."""
