"""What passalong costs, measured on this machine: figures, never a verdict."""
