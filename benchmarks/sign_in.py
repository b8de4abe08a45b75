"""Signing in with the two codes of the letter, against its unavoidable work.

The baseline makes one argon2id hash with the same parameters, one SELECT of the code, and one
transaction that writes a session. The portal adds finding the town, the form's token, two throttles
in Redis, and the answer with its cookies.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from sqlalchemy import create_engine, text
from webtest import TestApp

from benchmarks.browser import quiet_logs
from benchmarks.measure import Aim, Result, compared, in_turns, main, rate
from benchmarks.portal import analysed, running
from core.families.service import slow_hash
from core.platform.signing import new_token, token_hash
from core.processes.app import make_app
from core.testing.portal import Portal, record


class Parents:
    """Families that sign in one after the other: one family too often is slowed down."""

    def __init__(self, portal: Portal, count: int) -> None:
        portal.publish(*(record(str(n), family=f"F{n:04d}") for n in range(count)))
        self._codes = [(f"F{n:04d}", portal.codes(f"F{n:04d}")) for n in range(count)]
        analysed(portal)
        self._portal = portal
        self._turn = 0
        self._app = make_app(portal.runtime)
        self._form = self._fresh()
        owner = portal.owner_url.replace("preau_owner", "postgres")
        self._engine = create_engine(owner)

    def next(self) -> tuple[str, str]:
        self._turn += 1
        return self._codes[self._turn % len(self._codes)]

    def _fresh(self) -> dict[str, str]:
        browser = TestApp(self._app, extra_environ={"HTTP_HOST": "localhost"}, lint=False)
        page = browser.get("/valmont/connexion")
        form = next(form for form in page.forms.values() if "family_code" in form.fields)
        self._browser = browser
        return {"csrf_token": form["csrf_token"].value, "next": ""}

    def forget(self) -> None:
        """Empty the throttles: nobody signs in hundreds of times from one place."""
        self._portal.runtime.redis.flushall()

    def through_the_portal(self) -> None:
        family, code = self.next()
        self._browser.post(
            "/valmont/connexion",
            self._form | {"family_code": family, "child_code": code},
            # As many homes as families: one that tries so often is slowed down.
            extra_environ={"REMOTE_ADDR": f"10.0.0.{self._turn % len(self._codes)}"},
            status=303,
        )
        self._form = self._fresh()

    def the_page_only(self) -> None:
        self._fresh()

    def bare(self) -> None:
        family, code = self.next()
        given = slow_hash("k", "valmont", family, code)
        with self._engine.begin() as connection:
            found = connection.execute(
                text("SELECT family.id, secret_hash FROM family JOIN access_code USING (tenant_id)"
                     " WHERE family.tenant_id = 'valmont' AND family.code = :code"
                     " AND access_code.family_id = family.id"), {"code": family},
            ).one()  # fmt: skip
            assert found.secret_hash != given
            connection.execute(
                text("INSERT INTO web_session (tenant_id, token_hash, family_id, created_at,"
                     " seen_at) VALUES ('valmont', :token, :family, now(), now())"),
                {"token": token_hash(new_token()), "family": found.id},
            )  # fmt: skip


def run(quick: bool) -> Iterator[Result]:
    count, rounds = (5, 1) if quick else (60, 7)
    with running() as portal:
        quiet_logs(portal.runtime)
        parents = Parents(portal, count)

        def ours() -> float:
            # A sign-in needs a fresh form, which is measured by itself and taken off.
            parents.forget()
            both = 1 / rate(parents.through_the_portal, count)
            return 1 / (both - 1 / rate(parents.the_page_only, count))

        took = in_turns({"ours": ours, "bare": partial(rate, parents.bare, count)}, rounds)
    yield compared(
        "sign-in with codes", took["ours"], took["bare"], "sign-ins/s", Aim("at least", 0.7),
        sign_ins=count, baseline="one argon2id hash, one SELECT, one transaction",
    )  # fmt: skip


if __name__ == "__main__":
    main(run, __doc__)
