"""`python -m ecom.broker run COMMAND …`: becomes a command that holds a private RabbitMQ."""

import sys

from ecom.errors import ShopError
from ecom.settings import all_installed

if __name__ == "__main__":
    try:
        with all_installed():
            from ecom.broker.lease import main
        main(sys.argv[1:])
    except ShopError as error:
        sys.exit(str(error))
