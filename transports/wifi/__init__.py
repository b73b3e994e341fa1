"""WiFi lives here: finding nodes on the local network and carrying frames over TCP."""
