"""A worker process of a local build: Beam's own, without its chatter."""

import logging
import sys

from apache_beam.runners.worker import sdk_worker_main


def main() -> None:
    """Runs the worker until the driver ends it; errors travel to the driver."""
    logging.disable(logging.CRITICAL)
    sdk_worker_main.main(sys.argv)


if __name__ == "__main__":
    main()
