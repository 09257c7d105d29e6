"""The `chat-platform` command."""

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def main() -> None:
    """Run and look after an AI Chat Platform."""
