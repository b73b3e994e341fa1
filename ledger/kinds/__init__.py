"""What bodies mean: one module a kind, bytes <-> frozen values, checked both ways.

Every open body is ``salt 16 || CBOR [0, time, field, ...]`` (``ledger.kinds.body``); each kind's
docstring lists its fields to the byte. Fields after those it knows are kept in ``rest`` and
written again, so a newer version may add some; arrays inside a field have exactly the items
listed. A body that is anything else raises ``MeaninglessError``: its block stays valid and is
carried, it just means nothing.

Which characters a name may hold is fixed by tables in ``ledger.kinds.text`` and not by Python's,
which change with the version of Unicode: two nodes must agree on what means something.
"""
