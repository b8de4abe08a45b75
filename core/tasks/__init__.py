"""Work outside requests: outbox rows, found by the relay, carried by Celery, done by consumers."""
