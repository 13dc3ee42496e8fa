"""All commands, put together. Each module has `register(app)` and imports what it needs when it is called."""

from __future__ import annotations

import typer


def build() -> typer.Typer:
    """The whole command tree."""
    from authnet.commands import blame, chain, dev, epoch, genesis, localnet, login, node, resolve, session, status

    app = typer.Typer(
        name="authnet",
        help="A network of nodes that gives every login one blockchain key no node ever holds.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    for module in (resolve, login, status, localnet, node, epoch, genesis, chain, session, blame, dev):
        module.register(app)
    return app
