"""How bytes travel from one device to another; knows nothing of logs or people."""
