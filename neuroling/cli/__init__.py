"""The command line: the one room that writes to the terminal, and the only one that configures logging."""


def main() -> None:
    """Run the command line and leave with an honest exit status."""
    from neuroling.cli.app import build

    build()(prog_name="neuroling")
