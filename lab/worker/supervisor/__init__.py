"""The supervisor: a small detached process that keeps one worker per slot alive while runs are queued. No torch."""
