"""Crash campaigns: whatever the moment a node dies, what it announced is still there."""
