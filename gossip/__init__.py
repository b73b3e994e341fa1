"""What to say to whom; pure: no clock, no dice, no disk, no socket.

A meeting, from the outside in:

    session      one meeting as a state machine; effects says what it asks its owner for
    describing   what this side tells: mentioning (logs, by index), scopes (by digests)
    pulling      what it asks for: reading and pages (the peer's), told (its logs), wanted (one of
                 them), asking (requests), comparing and comparison (where two copies differ),
                 receiving and inbox (what comes)
    serving      what it sends: jobs and fair (whose turn), chunks (which blocks), shipping and
                 packing (their frames), outlet (when)
    saving       what is kept of the peer; talk is what all these share

What they stand on:

    catalogue    what is held, in memory; standing and digest are its hashes
    policy       what is wanted and offered; claims says who is asked for it
    cursor       what was processed of another store; notes keeps it between meetings
    wire, control, control_reader, control_writer, number, frontier    messages and their bytes
    bundle       the sneakernet file
"""
