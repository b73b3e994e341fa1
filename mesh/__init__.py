"""The node: what sees everything, owns the tasks, and does the reading and writing.

Rules about logs live in ``ledger``, what to say to whom in ``gossip``, how
bytes travel in ``transports``; this package joins them and offers the result
to every face through one port.
"""

__version__ = "0.1.0"
