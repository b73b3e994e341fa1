"""Bluetooth LE lives here: finding devices nearby and carrying frames between them, unpaired."""
