"""What to say to whom: pure rules, with no clock, no dice, no disk and no socket.

Not here: how bytes travel (``transports``) and what is true (``ledger``).
"""
