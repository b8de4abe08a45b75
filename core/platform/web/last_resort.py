"""The answer when even an error page cannot be made. It needs no template, session or database."""

from __future__ import annotations

from html import escape

from pyramid.response import Response
from redis import RedisError

from core.platform.db.outage import is_outage

_PAGE = """\
<!DOCTYPE html>
<html lang="fr">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{text}</p>
<p lang="en">{english}</p>
<p>{number}</p>
</main>
</body>
</html>
"""


def last_resort(error: BaseException, number: str) -> Response:
    """Write the page for `error`; `number` is the request's, which the log knows too.

    503 for an outage, 500 for anything else. Both languages stand on the page, since the reader's
    is not known here.
    """
    away = is_outage(error) or isinstance(error, RedisError)
    title, text, english = (
        (
            "Le portail est en maintenance",
            "Il revient dans un instant. Vos factures et vos paiements sont à l’abri.",
            "The portal is under maintenance and will be back in a moment.",
        )
        if away
        else (
            "Une erreur est survenue",
            "La page n’a pas pu être affichée. Merci de réessayer dans un instant.",
            "The page could not be shown. Please try again in a moment.",
        )
    )
    page = _PAGE.format(title=title, text=text, english=english, number=escape(number))
    response = Response(page, status=503 if away else 500, content_type="text/html")
    response.charset = "utf-8"
    if away:
        response.headers["Retry-After"] = "60"
    return response
