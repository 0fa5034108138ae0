"""`python -m pixelproof`: the command line, where the script is not on the path."""

from pixelproof.cli import main

main()
