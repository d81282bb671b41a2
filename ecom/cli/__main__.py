"""`python -m ecom.cli`: the `ecom` command."""

from ecom.cli.main import main

if __name__ == "__main__":
    main()
