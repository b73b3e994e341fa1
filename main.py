"""Where python-for-android starts: it wants a ``main.py`` beside the packages."""

from mesh.__main__ import main

if __name__ == "__main__":
    main()
