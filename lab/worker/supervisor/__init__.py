"""The supervisor: a small detached process that keeps one worker a slot alive while runs are queued. It never imports torch."""
