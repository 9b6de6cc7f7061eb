"""`python -m tondo`: the command line, for torchrun and where no script is on the path."""

from tondo.cli.main import entry

if __name__ == "__main__":
    entry()
