"""`python -m ecom.broker run COMMAND …`: becomes a command that holds a private RabbitMQ."""

import sys

from ecom.settings import WrongPlatform, all_installed

try:
    with all_installed():
        from ecom.broker.lease import main
except WrongPlatform as error:
    sys.exit(str(error))

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
