"""The command line: what a person types, and how the answer is shown.

Rules live elsewhere; everything here reaches the node through ``mesh.port``. At start only click
is imported, the rest inside the command that needs it, so that ``--help`` is there at once.
"""
