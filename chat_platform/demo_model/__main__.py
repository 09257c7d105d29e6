"""`python -m chat_platform.demo_model --port N [--faults]`"""

import argparse

import uvicorn

from chat_platform.demo_model.app import create_app


def main() -> None:
    parser = argparse.ArgumentParser(prog="chat_platform.demo_model")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--faults", action="store_true", help="obey [[words]] of tests, list calls")
    chosen = parser.parse_args()
    # Uvicorn breaks the connection off when a stream raises, which is what [[cut]] needs.
    uvicorn.run(
        create_app(with_faults=chosen.faults),
        host=chosen.host,
        port=chosen.port,
        log_level="critical",
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main()
