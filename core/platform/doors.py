"""Cost of wrong codes and passwords for the person who tries them, and for nobody else.

- Codes of 57 bits are always checked: no count can stop a right one. Wrong ones are counted by
  address, or by browser for browsers that signed in before, and answered with a wait.
- A parent's password has fewer bits. After `PASSWORD_TRIES` wrong ones a day, a right one from a
  browser that was never here opens by way of the mailbox only (`core.sign_in.service`).
- An agent's password is always checked together with the second factor. Its six digits may be
  missed `SECOND_FACTOR_TRIES` times a day *by who knows the password*: nobody else can use these
  up. A recovery code, of 57 bits, is always taken.

docs/security.md counts the guesses that this leaves.
"""

from __future__ import annotations

from datetime import timedelta
from typing import NoReturn

from core.platform.errors import ThrottledError, WrongCodesError
from core.platform.i18n import gettext as _
from core.platform.throttling import Allowance, Throttle, network_of

QUARTER, DAY = timedelta(minutes=15), timedelta(days=1)

TRIES_BY_ADDRESS = 20
"""Wrong tries in a quarter of an hour, after which an address is told to wait."""

TRIES_BY_BROWSER = 10
"""The same for one browser that signed in before: its own, whatever its address has used up."""

PASSWORD_TRIES = 100
"""Wrong passwords a day for one parent's account, from all browsers that are not known to it:
as many as NIST SP 800-63B lets fail in a row."""

PASSWORD_TRIES_BY_BROWSER = 20
"""The same for one browser that the account was opened from before."""

SECOND_FACTOR_TRIES = 10
"""Wrong telephone codes a day beside the right password: three codes in a million are good."""

PASSWORD_TRIES_BY_SESSION = 10
"""Wrong current passwords in a quarter of an hour, typed into a session that was left open."""


class Doors:
    """The counts of one town's doors."""

    def __init__(self, throttle: Throttle, tenant: str) -> None:
        self._throttle = throttle
        self._tenant = tenant

    def refuse(self, message: str, address: str, browser: str = "") -> NoReturn:
        """Count a wrong try, and say so.

        Raises:
            WrongCodesError: with `message`, while the address or known `browser` has tries left.
            ThrottledError: with `message` and a wait, afterwards.
        """
        if browser:
            tries = Allowance(f"browser:{browser}", TRIES_BY_BROWSER, QUARTER)
        else:
            # One count for all towns: who guesses in ten of them is one guesser.
            tries = Allowance(f"address:{network_of(address)}", TRIES_BY_ADDRESS, QUARTER)
        if wait := self._throttle.spend(tries):
            raise ThrottledError(wait, message)
        raise WrongCodesError(message)

    def password_tries(self, email: str, browser: str = "") -> Allowance:
        """Wrong passwords for a parent's account, whether it exists or not."""
        limit = PASSWORD_TRIES_BY_BROWSER if browser else PASSWORD_TRIES
        return Allowance(f"{self._tenant}:account:{email.casefold()}:{browser}", limit, DAY)

    def second_factor_tries(self, agent_id: int, browser: str = "") -> Allowance:
        """Wrong telephone codes beside an agent's right password."""
        return Allowance(f"{self._tenant}:agent:{agent_id}:{browser}", SECOND_FACTOR_TRIES, DAY)

    def spend(self, allowance: Allowance) -> bool:
        """Count a try before it is checked, so that a hundred sent at once are a hundred.

        Whether the allowance still held it.
        """
        return not self._throttle.spend(allowance)

    def give_back(self, allowance: Allowance) -> None:
        """The try was right."""
        self._throttle.give_back(allowance)

    def own_password(self, session: str) -> Allowance:
        """Count a current password typed into a session; given back when it was right.

        Raises:
            ThrottledError: too many wrong ones, in this session alone.
        """
        tries = Allowance(f"{self._tenant}:{session}", PASSWORD_TRIES_BY_SESSION, QUARTER)
        if wait := self._throttle.spend(tries):
            raise ThrottledError(wait, _("Trop de mots de passe ont été essayés ici."))
        return tries
