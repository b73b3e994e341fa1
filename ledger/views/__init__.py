"""Folds of held blocks into answers: the same answer whatever order the blocks come in.

A fold is given pages of ``ledger.store.base.Entry`` by ``add`` and then asked. It never raises on
what strangers wrote. First a ``Census`` (who is who, and what weighs), then the others.
"""
