"""Contract tests for plugins: what core relies on, whoever wrote the plugin.

Subclass the contract of your kind in a test module, under a name that begins with ``Test``, and
override what it asks for; every test of the contract then runs on yours (docs/plugins.md).
"""

from core.testing.conformance_channels import NotificationChannelContract
from core.testing.conformance_chat import ChatSkillContract
from core.testing.conformance_groups import FamilyGroupContract
from core.testing.conformance_messages import MessageKindContract
from core.testing.conformance_peers import PEERS, Peer, peer
from core.testing.conformance_plugin import PluginContract
from core.testing.conformance_providers import Counterpart, PaymentProviderContract
from core.testing.conformance_records import RecordImportContract
from core.testing.conformance_sources import InvoiceSourceContract

__all__ = [
    "ChatSkillContract",
    "Counterpart",
    "FamilyGroupContract",
    "InvoiceSourceContract",
    "MessageKindContract",
    "NotificationChannelContract",
    "PaymentProviderContract",
    "Peer",
    "peer",
    "PEERS",
    "PluginContract",
    "RecordImportContract",
]
