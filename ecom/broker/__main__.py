"""`python -m ecom.broker run COMMAND …`: holds a private RabbitMQ while a command runs."""

import sys

from ecom.settings import UNIX, WrongPlatform

try:
    from ecom.broker.lease import main
except ModuleNotFoundError as error:
    if error.name not in UNIX:
        raise
    sys.exit(str(WrongPlatform(error.name)))

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
