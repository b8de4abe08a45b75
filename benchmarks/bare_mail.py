"""The bare Celery application that sends finished mails: a task each, with `smtplib`."""

from __future__ import annotations

import os
import smtplib

from celery import Celery

app = Celery("bare", broker=os.environ.get("PREAU_REDIS_URL", "memory://"))
app.conf.update(
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=4,
    task_default_queue="bare",
    worker_hijack_root_logger=False,
)


@app.task(name="bare.send")
def send(sender: str, to: str, mail: str) -> None:
    """Hand one mail to the server."""
    host, port = os.environ["PREAU_SMTP_HOST"], int(os.environ["PREAU_SMTP_PORT"])
    with smtplib.SMTP(host, port, timeout=20) as server:
        server.sendmail(sender, [to], mail)
