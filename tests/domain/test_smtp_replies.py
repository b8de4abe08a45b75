"""Whose doing a mail server's reply is: the stage, the enhanced status code and the words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from core.domain.smtp_replies import Cause, Reply, Stage, parse

C, A, M, R, D, B = (
    Stage.CONNECT,
    Stage.AUTH,
    Stage.MAIL,
    Stage.RCPT,
    Stage.DATA,
    Stage.REPORT,
)

REPLIES = [
    # --- The mailbox's own refusals.
    (R, 550, "5.1.1 No such mailbox", Cause.RECIPIENT),
    (R, 550, "5.1.1 <x@exemple.fr>: Recipient address rejected: User unknown in virtual mailbox table", Cause.RECIPIENT),
    (R, 550, "5.1.1 <x@exemple.fr>: Recipient address rejected: undeliverable address: host said: 550 no", Cause.RECIPIENT),
    (R, 550, "5.1.1 The email account that you tried to reach does not exist. Please try\n5.1.1 double-checking the recipient's email address. https://support.google.com/mail/?p=NoSuchUser - gsmtp", Cause.RECIPIENT),
    (R, 550, "5.2.1 The email account that you tried to reach is disabled.", Cause.RECIPIENT),
    (R, 550, "5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup", Cause.RECIPIENT),
    (R, 550, "5.4.1 Recipient address rejected: Access denied. [X.eop-eur01.prod.protection.outlook.com]", Cause.RECIPIENT),
    (R, 550, "5.5.0 Requested action not taken: mailbox unavailable (S2017062302).", Cause.RECIPIENT),
    (R, 550, "5.1.1 Adresse d au moins un destinataire invalide. Invalid recipient. OFR_416 [416]", Cause.RECIPIENT),
    (R, 552, "5.1.1 Boite du destinataire archivee. Archived recipient. OFR_417 [417]", Cause.RECIPIENT),
    (R, 550, "5.2.1 This mailbox has been blocked due to inactivity", Cause.RECIPIENT),
    (R, 550, "No Such User Here", Cause.RECIPIENT),
    (R, 550, "Unrouteable address", Cause.RECIPIENT),
    (R, 551, "User not local; please try <y@exemple.fr>", Cause.RECIPIENT),
    (R, 553, "5.1.2 We weren't able to find the recipient domain. Please check for spelling errors", Cause.RECIPIENT),
    (R, 553, "mailbox name not allowed", Cause.RECIPIENT),
    (R, 554, "delivery error: dd This user doesn't have a yahoo.com account (x@yahoo.com) [0]", Cause.RECIPIENT),
    (R, 554, "delivery error: dd Sorry, your message cannot be delivered. This mailbox is disabled (554.30).", Cause.RECIPIENT),
    (R, 556, "5.1.10 Domain exemple.fr does not accept mail (nullMX)", Cause.RECIPIENT),
    (R, 550, "5.7.17 Mailbox owner has changed", Cause.RECIPIENT),
    (R, 550, "5.1.0 Address rejected", Cause.RECIPIENT),
    (R, 550, "5.1.1 <antispam@exemple.fr>: Recipient address rejected: User unknown", Cause.RECIPIENT),
    (R, 550, "5.1.1 User unknown, says the antispam of exemple.fr", Cause.RECIPIENT),
    (R, 550, "unknown user: sender.failed@exemple.fr", Cause.RECIPIENT),
    # A filter before the mailboxes may know it only at the end of the data; there was one recipient.
    (D, 550, "5.1.1 User unknown", Cause.RECIPIENT),
    (D, 554, "delivery error: dd This user doesn't have a yahoo.com account (x@yahoo.com) [-5]", Cause.RECIPIENT),
    # --- It exists, and is full, or has to wait.
    (R, 552, "5.2.2 The email account that you tried to reach is over quota.", Cause.FULL),
    (R, 452, "4.2.2 The email account that you tried to reach is over quota.", Cause.FULL),
    (R, 552, "Mailbox quota exceeded", Cause.FULL),
    (D, 552, "5.2.2 Mailbox full", Cause.FULL),
    (R, 450, "4.2.1 The user you are trying to contact is receiving mail too quickly.", Cause.LATER),
    (R, 550, "5.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages", Cause.LATER),
    (R, 450, "4.2.0 <x@exemple.fr>: Recipient address rejected: Greylisted", Cause.LATER),
    (R, 450, "4.1.1 <x@exemple.fr>: Recipient address rejected: unverified address", Cause.LATER),
    (R, 451, "Try again later", Cause.LATER),
    (D, 451, "4.3.0 Mail server temporarily rejected message", Cause.LATER),
    # --- At RCPT TO, but of the sender, the client or the relay (Postfix tells them all there).
    (R, 550, "5.1.8 <town@mairie.fr>: Sender address rejected: Domain not found", Cause.SENDER),
    (R, 550, "5.1.0 <town@mairie.fr>: Sender address rejected: User unknown in local recipient table", Cause.SENDER),
    (R, 553, "5.7.1 <town@mairie.fr>: Sender address rejected: not owned by user preau", Cause.SENDER),
    (R, 550, "5.1.7 <town@mairie.fr>: Sender address rejected: undeliverable address", Cause.SENDER),
    (R, 550, "Verification failed for <town@mairie.fr>\nNo Such User Here\nSender verify failed", Cause.SENDER),
    (R, 554, "5.7.1 <x@exemple.fr>: Relay access denied", Cause.SERVER),
    (R, 550, "relay not permitted", Cause.SERVER),
    (R, 550, "5.7.1 Unable to relay", Cause.SERVER),
    (R, 553, "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)", Cause.SERVER),
    (R, 504, "5.5.2 <worker>: Helo command rejected: need fully-qualified hostname", Cause.SERVER),
    (R, 554, "5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org", Cause.POLICY),
    (R, 550, "5.7.1 Service unavailable, Client host [192.0.2.1] blocked using Spamhaus. To request removal see https://www.spamhaus.org/lookup", Cause.POLICY),
    (R, 550, "5.7.606 Access denied, banned sending IP [192.0.2.1]", Cause.POLICY),
    (R, 550, "5.7.1 Delivery not authorized, message refused", Cause.POLICY),
    (R, 550, "JunkMail rejected - mail.mairie.fr [192.0.2.1] is in an RBL", Cause.POLICY),
    (R, 550, "5.7.1 Recipient address rejected: Access denied", Cause.POLICY),
    (R, 550, "5.4.5 Daily user sending quota exceeded.", Cause.QUOTA),
    (R, 550, "5.7.1 Email quota exceeded.", Cause.QUOTA),
    (R, 550, "5.7.1 Recipient address rejected: Policy Rejection- daily message limit exceeded", Cause.QUOTA),
    (R, 554, "5.2.2 Submission quota exceeded", Cause.QUOTA),
    (R, 550, "Domain mairie.fr has exceeded the max emails per hour (500) allowed. Message discarded.", Cause.QUOTA),
    (R, 530, "5.7.0 Authentication Required", Cause.SIGN_IN),
    # --- At RCPT TO, without a word of whom: 550 is a mailbox that is away, or "a policy" (RFC 5321).
    (R, 550, "", Cause.UNSAID),
    (R, 550, "Rejected", Cause.UNSAID),
    (R, 550, "no", Cause.UNSAID),
    (R, 550, "5.0.0 Rejected", Cause.UNSAID),
    (R, 550, "Requested action not taken", Cause.UNSAID),
    (R, 550, "2.1.5 Rejected", Cause.UNSAID),
    (R, 551, "", Cause.UNSAID),
    (R, 553, "Rejected", Cause.UNSAID),
    (R, 554, "", Cause.UNSAID),
    (R, 554, "Transaction failed", Cause.UNSAID),
    (R, 501, "", Cause.UNSAID),
    (R, 550, "Odmowa", Cause.UNSAID),
    (R, 550, "Rejected\nSee the documentation\nof this server", Cause.UNSAID),
    # These codes have one meaning only.
    (R, 556, "", Cause.RECIPIENT),
    (R, 552, "", Cause.FULL),
    (R, 503, "Bad sequence of commands", Cause.SERVER),
    (R, 521, "", Cause.SERVER),
    (R, 450, "", Cause.LATER),
    (R, 421, "", Cause.LATER),
    (D, 421, "", Cause.LATER),
    (D, 450, "", Cause.LATER),
    (D, 551, "", Cause.POLICY),
    (D, 553, "", Cause.POLICY),
    (D, 554, "", Cause.POLICY),
    (D, 503, "", Cause.SERVER),
    (M, 551, "", Cause.SENDER),
    (M, 553, "", Cause.SENDER),
    (M, 554, "", Cause.SENDER),
    (M, 450, "", Cause.SERVER),
    # A status that contradicts the code: the milder of the two.
    (R, 550, "4.7.1 Rejected", Cause.LATER),
    (R, 550, "4.3.2 Rejected", Cause.LATER),
    (R, 550, "4.1.1 User unknown", Cause.LATER),
    (R, 450, "5.1.1 User unknown", Cause.LATER),
    (R, 450, "5.7.1 Rejected", Cause.LATER),
    (D, 554, "4.4.1 Rejected", Cause.LATER),
    # "Other" of an address or a mailbox: the words say more.
    (R, 550, "5.2.0 Mail rejete. Mail rejected. ofr_506 [506]", Cause.POLICY),
    (R, 550, "5.1.0 Access denied", Cause.POLICY),
    (R, 550, "5.2.0 Rejected", Cause.RECIPIENT),
    # The words of the code itself, and then the reason: GMX, web.de, IONOS.
    (R, 550, "Requested action not taken: mailbox unavailable", Cause.RECIPIENT),
    (R, 550, "Requested action not taken: mailbox unavailable\ninvalid DNS MX or A/AAAA resource record", Cause.SENDER),
    (R, 550, "Requested action not taken: mailbox unavailable\nReject due to policy restrictions", Cause.POLICY),
    (R, 550, "Requested action not taken: mailbox unavailable\nYour IP is not allowed", Cause.POLICY),
    # In other languages.
    (R, 550, "Adresse inexistante", Cause.RECIPIENT),
    (R, 550, "Empfänger unbekannt", Cause.RECIPIENT),
    (R, 550, "Das Postfach existiert nicht", Cause.RECIPIENT),
    (R, 550, "Usuario desconocido", Cause.RECIPIENT),
    (R, 550, "El buzón no existe", Cause.RECIPIENT),
    (R, 550, "Utente sconosciuto", Cause.RECIPIENT),
    (R, 550, "La casella non esiste", Cause.RECIPIENT),
    (R, 550, "Utilizador desconhecido", Cause.RECIPIENT),
    (R, 550, "Gebruiker onbekend", Cause.RECIPIENT),
    (R, 550, "Absender unbekannt", Cause.SENDER),
    (R, 550, "Absenderadresse existiert nicht", Cause.SENDER),
    (R, 550, "Remitente desconocido", Cause.SENDER),
    (R, 550, "Mittente non esiste", Cause.SENDER),
    (R, 552, "Postfach voll", Cause.FULL),
    (R, 550, "5.3.0 Mail system error", Cause.SERVER),
    # --- At MAIL FROM, nothing is a recipient's.
    (M, 550, "", Cause.SENDER),
    (M, 550, "5.1.1 User unknown", Cause.SENDER),
    (M, 553, "5.1.7 The sender address <a> is not a valid RFC-5321 address.", Cause.SENDER),
    (M, 501, "5.1.0 Emetteur invalide. Invalid Sender. OFR004_005 [005]", Cause.SENDER),
    (M, 550, "5.4.5 Daily sending quota exceeded", Cause.QUOTA),
    (M, 451, "4.7.1 Too many messages from you today", Cause.QUOTA),
    (M, 552, "5.3.4 Message size exceeds fixed limit", Cause.CONTENT),
    (M, 530, "5.7.1 Client was not authenticated", Cause.SIGN_IN),
    (M, 553, "5.7.1 [BL21] Connections will not be accepted from 192.0.2.1, because the ip is in Spamhaus's list", Cause.POLICY),
    (M, 421, "4.3.2 Service shutting down", Cause.SERVER),
    # --- At DATA, the content, a filter, a quota.
    (D, 550, "", Cause.POLICY),
    (D, 554, "5.7.1 Spam message rejected", Cause.POLICY),
    (D, 550, "5.2.0 Mail rejete. Mail rejected. ofr_506 [506]", Cause.POLICY),
    # What the large ones ask of senders since 2024, and say by a status of their own.
    (D, 550, "5.7.515 Access denied, the domain does not meet the required level", Cause.SENDER),
    (R, 550, "5.7.509 Access denied", Cause.SENDER),
    (D, 550, "5.7.30 blocked", Cause.SENDER),
    (D, 421, "4.7.32 Your email has been rate limited because its From is not aligned", Cause.SENDER),
    (D, 550, "5.7.9 The sender is unauthenticated: either SPF or DKIM is required", Cause.SENDER),
    (D, 550, "5.7.705 Access denied, tenant has exceeded threshold", Cause.QUOTA),
    (D, 550, "5.7.233 exceeded the tenant external recipient rate limit", Cause.QUOTA),
    (D, 554, "5.7.7 Email not accepted for policy reasons", Cause.POLICY),
    (B, 550, "5.4.310 DNS domain exemple.fr does not exist", Cause.RECIPIENT),
    (B, 550, "5.4.300 Message expired", Cause.LATER),
    (B, 550, "5.4.316 Message expired, connection refused", Cause.LATER),
    # La Poste and SFR: a number of theirs at the end.
    (R, 550, "5.5.0 Adresse d au moins un destinataire invalide. Invalid recipient. LPN007_416", Cause.RECIPIENT),
    (M, 550, "5.5.0 Emetteur invalide. Invalid Sender. LPN007_405", Cause.SENDER),
    (M, 450, "4.1.8 <x@exemple.fr>: Sender address rejected: Domain not found LPN007_405", Cause.SENDER),
    (D, 550, "5.5.0 Service refuse. Veuillez verifier le contenu. LPN007_510", Cause.POLICY),
    (C, 450, "4.7.1 Client host rejected: Service refuse. LPN027_503", Cause.SERVER),
    (R, 450, "4.7.1 Service refused due to bad behavior SFR_IN_101", Cause.POLICY),
    (R, 550, "5.1.1 User unknown SFR_IN_203", Cause.RECIPIENT),
    (D, 550, "5.7.26 This mail has been blocked because the sender is unauthenticated. SPF = did not pass", Cause.SENDER),
    (D, 552, "5.7.0 This message was blocked because its content presents a potential security issue.", Cause.POLICY),
    (D, 552, "5.3.4 Message too big for system", Cause.CONTENT),
    (D, 552, "", Cause.CONTENT),
    (D, 554, "5.6.0 Mail message is malformed. Not accepted.", Cause.CONTENT),
    (D, 554, "Message rejected: Email address is not verified.", Cause.SENDER),
    (D, 454, "Throttling failure: Daily message quota exceeded.", Cause.QUOTA),
    (D, 550, "5.7.1 [192.0.2.1 12] Our system has detected that this message is likely unsolicited mail.", Cause.POLICY),
    (D, 550, "5.1.8 Access denied, bad outbound sender", Cause.SENDER),
    (D, 554, "Message not allowed - [PH01] Email not accepted for policy reasons.", Cause.POLICY),
    (D, 550, "The from address does not match a verified Sender Identity.", Cause.SENDER),
    # --- A server without enhanced codes: 550 alone says little, its words say whose it is.
    (R, 550, "Administrative prohibition", Cause.POLICY),
    (R, 550, "Access denied", Cause.POLICY),
    (R, 550, "Message refused", Cause.POLICY),
    (R, 550, "Your IP 192.0.2.1 is blocked", Cause.POLICY),
    (R, 550, "Connection rejected by policy [7.7] 38206", Cause.POLICY),
    (R, 550, "Rejected by header based Anti-Spoofing policy: town@mairie.fr", Cause.POLICY),
    (R, 550, "Votre message a été bloqué par notre filtre", Cause.POLICY),
    (R, 554, "Adresse IP en liste noire", Cause.POLICY),
    (R, 550, "Access denied - Invalid HELO name (See RFC2821 4.1.1.1)", Cause.SERVER),
    (R, 550, "5.7.1 Relais interdit", Cause.SERVER),
    (R, 550, "authorization required", Cause.SIGN_IN),
    (R, 550, "Too many invalid recipients", Cause.QUOTA),
    (R, 550, "Quota d’envoi dépassé", Cause.QUOTA),
    (R, 450, "Limite d’envoi atteinte : 200 messages par heure", Cause.QUOTA),
    (R, 550, "not our customer", Cause.RECIPIENT),
    (R, 550, "No mailbox by that name is currently available", Cause.RECIPIENT),
    (R, 550, "Boîte aux lettres inexistante", Cause.RECIPIENT),
    (R, 554, "5.7.1 <x@exemple.fr>: Recipient address rejected: no such user", Cause.RECIPIENT),
    (R, 552, "5.1.1 Boite du destinataire pleine. Recipient overquota. OFR_417 [417]", Cause.FULL),
    (R, 550, "over the allowed quota", Cause.FULL),
    (R, 422, "The recipient's mailbox is over its storage limit", Cause.FULL),
    (D, 452, "4.2.2 The recipient's inbox is out of storage space.", Cause.FULL),
    (R, 451, "4.7.1 Greylisting in action, please come back in 00:05:00", Cause.LATER),
    (R, 451, "4.7.500 Server busy. Please try again later from [192.0.2.1].", Cause.LATER),
    (R, 421, "4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume", Cause.LATER),
    # --- TLS that is missing or too old, a name that is not in the DNS, an account of the relay.
    (M, 530, "5.7.0 Must issue a STARTTLS command first", Cause.SERVER),
    (R, 550, "5.7.10 Encryption needed", Cause.SERVER),
    (D, 550, "5.7.29 Gmail requires all bulk email senders to use TLS. This message was not sent over TLS, which is required", Cause.SERVER),
    (R, 421, "4.7.66 TLS 1.0 and 1.1 are not supported. Please upgrade your client.", Cause.SERVER),
    (D, 550, "5.7.25 refused", Cause.SERVER),
    (D, 550, "5.7.60 SMTP; Client does not have permissions to send as this sender", Cause.SENDER),
    (D, 554, "5.7.9 Message not accepted for policy reasons", Cause.POLICY),
    (D, 550, "5.7.1 Your account does not have enough credits", Cause.QUOTA),
    (M, 451, "4.7.651 The mail server [192.0.2.1] has been temporarily rate limited", Cause.QUOTA),
    (A, 432, "4.7.1 Concurrent connections limit exceeded", Cause.QUOTA),
    (A, 454, "4.7.0 Too many login attempts, please try again later.", Cause.LATER),
    (A, 454, "4.7.0 Temporary authentication failure", Cause.SERVER),
    # --- Before a mail.
    (C, 554, "5.7.1 mail.mairie.fr: blocked, see Spamhaus", Cause.POLICY),
    (C, 554, "No SMTP service here", Cause.SERVER),
    (C, 421, "Too many connections", Cause.QUOTA),
    (C, 0, "TimeoutError: timed out", Cause.SERVER),
    (C, 550, "5.1.1 User unknown", Cause.SERVER),
    (A, 535, "5.7.8 Username and Password not accepted.", Cause.SIGN_IN),
    (A, 525, "5.7.1 Unauthorized IP address", Cause.SIGN_IN),
    (A, 550, "", Cause.SIGN_IN),
    # --- Reports of mails that came back.
    (B, 550, "5.1.1 smtp; 550 5.1.1 No such mailbox", Cause.RECIPIENT),
    (B, 0, "5.1.1", Cause.RECIPIENT),
    (B, 0, "5.4.4 X-Postfix; Host or domain name not found. Name service error for name=exmaple.fr", Cause.RECIPIENT),
    (B, 0, '5.0.0 smtp; 550 "Unknown User"', Cause.RECIPIENT),
    (B, 550, "5.0.0 smtp; 550 5.4.1 [x@exemple.fr]: Recipient address rejected: Access denied", Cause.RECIPIENT),
    (B, 550, "5.7.1 smtp; 550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Part of their network is on our block list (S3150).", Cause.POLICY),
    (B, 550, "5.0.0 smtp; 550 spam detected", Cause.POLICY),
    (B, 501, "5.1.0 smtp; 501 5.1.0 Emetteur invalide. Invalid Sender. OFR004_005 [005]", Cause.SENDER),
    (B, 550, "5.2.0 smtp; 550 5.2.0 Mail rejete. Mail rejected. ofr_506 [506]", Cause.POLICY),
    (B, 552, "5.2.2 smtp; 552 5.2.2 over quota", Cause.FULL),
    (B, 0, "4.4.7 delivery time expired", Cause.LATER),
    (B, 0, "4.4.1 X-Postfix; connect to mx.exemple.fr[192.0.2.9]:25: Connection timed out", Cause.LATER),
    (B, 550, "5.0.0 smtp; 550 refused (in reply to MAIL FROM command)", Cause.SENDER),
    (B, 550, "5.0.0 smtp; 550 refused (in reply to RCPT TO command)", Cause.UNSAID),
    (B, 550, "5.0.0 smtp; 550 no (in reply to RCPT TO command)", Cause.UNSAID),
    (B, 0, "", Cause.POLICY),
]


def test_whose_doing_it_is():
    """At once, and of what was written down of it."""
    found = [
        (stage, code, words, Reply(stage, code, words).cause, parse(str(Reply(stage, code, words))).cause)
        for stage, code, words, _cause in REPLIES
    ]
    expected = [(stage, code, words, cause, cause) for stage, code, words, cause in REPLIES]
    assert [pair for pair in zip(found, expected, strict=True) if pair[0] != pair[1]] == []


@given(st.sampled_from(Stage), st.integers(400, 599), st.text())
def test_no_words_make_a_stage_before_the_recipient_the_recipients(stage, code, words):
    cause = Reply(stage, code, words).cause
    if stage in {C, A, M}:
        assert cause.is_ours or cause is Cause.LATER
    if code < 500 and stage is not B:
        assert cause is not Cause.RECIPIENT


@given(st.text())
def test_what_is_no_reply_is_none(words):
    assert parse(f"x{words}") is None
