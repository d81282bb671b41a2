"""`python -m ecom.broker run COMMAND …`: holds a private RabbitMQ while a command runs."""

import sys

from ecom.broker.lease import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
