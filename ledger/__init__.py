"""What is true: keys, blocks, logs, and what can be read out of them.

Imports nothing else of this project.
"""
