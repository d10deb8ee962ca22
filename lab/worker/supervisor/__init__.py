"""The supervisor: a small detached process that keeps a worker alive while runs are queued. It never imports torch."""
