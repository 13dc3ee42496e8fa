"""SDK: look addresses up and log in, checking every answer. Speaks HTTP to nodes; holds no key beyond a call."""

from authnet_client.client import Client
from authnet_client.network import Network
from authnet_client.outcomes import LoginOutcome, NodeReport, Resolution, SessionToken
from authnet_client.session import LoginSession
from authnet_client.sync import SyncClient

__all__ = [
    "Client",
    "LoginOutcome",
    "LoginSession",
    "Network",
    "NodeReport",
    "Resolution",
    "SessionToken",
    "SyncClient",
]
