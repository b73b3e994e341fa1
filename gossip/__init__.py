"""What to say to whom; pure: no clock, no dice, no disk, no socket.

A meeting, from the outside in:

    session      one meeting as a state machine; effects says what it asks its owner for
    describing   what this side tells: mentioning (logs, by index), scopes (by digests)
    pulling      what it asks for: reading and pages (the peer's), told (its logs), wanted (one of
                 them), asking (requests), comparing and comparison (where two copies differ),
                 receiving and inbox (what comes)
    serving      what it sends: jobs and fair (whose turn), chunks (which blocks), shipping and
                 packing (their frames), outlet (when)
    mailing      the mail in it: mail_giving (this side's), mail_taking (the peer's), mail_names
    saving       what is kept of the peer; talk is what all these share

What they stand on:

    catalogue    what is held, in memory; standing and digest are its hashes
    shelf        keeps the catalogue in agreement with a store; sizes says how much it is
    room         what goes when that is too much: letting_go in which order, strangers how fast
                 their things come
    mail         what is carried for others: envelope says what that is
    policy       what is wanted and offered, and how much; limits bounds a meeting; claims says
                 who is asked for it
    cursor       what was processed of another store; notes keeps it between meetings
    wire, control, control_reader, control_writer, postal, number, frontier    messages' bytes
    bundle       the sneakernet file; bundle_open writes it, bundle_sealed, bundle_header and
                 sealing for readers only, bundle_notes what is remembered of them

And ``sim``, which runs all this among many nodes in virtual time.
"""
