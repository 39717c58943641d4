"""``python -m neuroling.cli``: the command line, where its script is not on the path."""

from neuroling.cli import main

if __name__ == "__main__":
    main()
