"""``python -m annotator.cli`` is ``annotator``, for programs that start it with their own interpreter."""

from annotator.cli import main

if __name__ == "__main__":
    main()
