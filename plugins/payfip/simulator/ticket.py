"""The payment ticket that PayFiP mails to the payer, as a PDF."""

from __future__ import annotations

from email.message import EmailMessage

from jinja2 import Environment, PackageLoader, StrictUndefined

from core.plugin import render_pdf
from plugins.payfip.simulator import rules
from plugins.payfip.simulator.store import Operation, Store

_TEMPLATE = Environment(
    loader=PackageLoader("plugins.payfip.simulator", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
).get_template("ticket.jinja2")


def rows(store: Store, operation: Operation) -> list[tuple[str, str]]:
    """Lines of the result page and of the ticket, label and value."""
    who = rules.client(store, operation.numcli)
    name = (
        "" if isinstance(who, rules.Refusal) else " ".join(filter(None, (who.label1, who.label2)))
    )
    by_card = operation.resultrans == "P"
    lines = [
        ("Collectivité", name),
        ("Identifiant de la collectivité", operation.numcli),
        ("Comptable", f"SGC DE SIMULATION ({operation.numcli[:3]})"),
        ("Identifiant commerçant", f"{int(operation.numcli):015d}"),
        ("Numéro de contrat", f"{int(operation.numcli):07d}"),
        ("Référence de la transaction", operation.transaction),
        ("Référence de la commande", operation.refdet),
        ("Objet", operation.objet),
        ("Date et heure", operation.finished_at.strftime("%d/%m/%Y à %H\u00a0h\u00a0%M")),
        ("Montant", euros(operation.cents)),
        ("Moyen de paiement", operation.brand if by_card else "Prélèvement unique"),
        ("Numéro de carte", f"#### #### #### {operation.last4}" if operation.last4 else ""),
        ("Numéro d’autorisation", operation.numauto),
        ("Adresse électronique", operation.mel),
    ]
    return [(label, value) for label, value in lines if value]


def euros(cents: int) -> str:
    """Write cents as on a French receipt, with spaces that do not break."""
    whole, rest = divmod(cents, 100)
    return f"{whole:,}".replace(",", "\u202f") + f",{rest:02d}\u00a0€"


def pdf(store: Store, operation: Operation) -> bytes:
    """Render the ticket."""
    return render_pdf(
        _TEMPLATE.render(rows=rows(store, operation)),
        title="Ticket de paiement (simulation)",
        language="fr",
        created=operation.finished_at.date(),
    )


def mail(store: Store, operation: Operation, sender: str) -> EmailMessage:
    """The mail that carries the ticket."""
    message = EmailMessage()
    message["From"] = sender
    message["To"] = operation.mel
    message["Subject"] = "[Simulation] Ticket de paiement PayFiP"
    message["Message-ID"] = f"<{operation.id_op}@simulateur.payfip.invalid>"
    body = "\n".join(f"{label} : {value}" for label, value in rows(store, operation))
    message.set_content(
        "Bonjour,\n\nVoici le ticket de votre paiement. Ceci est une simulation : aucun argent "
        f"n’a été prélevé.\n\n{body}\n"
    )
    message.add_attachment(
        pdf(store, operation),
        maintype="application",
        subtype="pdf",
        filename=f"ticket-{operation.transaction}.pdf",
    )
    return message
