"""The faces for phones and desktops; the only package that may import Kivy.

Not here: anything a node needs to run, which is all in ``mesh``.
"""
