"""What two implementations must agree on, as files; and how they are made."""
